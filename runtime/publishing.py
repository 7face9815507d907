"""JSON Schemas of what commands print, made from the very structs that are printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edgeproof.runtime.atomic import write_bytes


def schema(document: Any) -> bytes:
    """The schema of a struct, as indented JSON."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(document)}
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def write(documents: Mapping[str, Any], folder: Path) -> None:
    """Write the schema of every document as <name>.schema.json."""
    for name, document in documents.items():
        write_bytes(folder / f"{name}.schema.json", schema(document))
