"""The published JSON Schemas of `doctor` and `inspect`: `python -m edgeproof.runtime.schemas docs/schemas`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edgeproof.runtime.atomic import write_bytes
from edgeproof.runtime.doctor import Report
from edgeproof.runtime.inspection import Inspection

# What `--json` prints is one document of these very structs.
PUBLISHED: dict[str, type[msgspec.Struct]] = {"doctor": Report, "inspect": Inspection}


def schema(name: str) -> bytes:
    """The schema of what a command prints with --json, as indented JSON."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(PUBLISHED[name])}
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def write(folder: Path) -> None:
    """Write every schema as <name>.schema.json."""
    for name in PUBLISHED:
        write_bytes(folder / f"{name}.schema.json", schema(name))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
