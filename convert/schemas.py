"""The published JSON Schemas of what `verify` and `evaluate` print; run as a program, it writes them to a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from edgeproof.convert.verification import Summary
from edgeproof.runtime.atomic import write_bytes
from edgeproof.runtime.evaluation import Evaluation


class VerificationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `edgeproof verify --json` prints; verification.json is its `verification`."""

    schema: int = 1
    verification: Summary


class EvaluationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `edgeproof evaluate --json` prints."""

    schema: int = 1
    evaluation: Evaluation


PUBLISHED: dict[str, Any] = {"verification": VerificationDocument, "evaluation": EvaluationDocument}


def schema(name: str) -> bytes:
    """One of the published schemas as indented JSON, made from the structs that are printed."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(PUBLISHED[name])}
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def write(folder: Path) -> None:
    """Write every schema as <name>.schema.json."""
    for name in PUBLISHED:
        write_bytes(folder / f"{name}.schema.json", schema(name))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
