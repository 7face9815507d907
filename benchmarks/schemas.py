"""The published JSON Schemas of reports and comparisons: `python -m edgeproof.benchmarks.schemas docs/schemas`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edgeproof.benchmarks.comparison import Comparison
from edgeproof.benchmarks.merging import Merged
from edgeproof.benchmarks.report import Report
from edgeproof.runtime.atomic import write_bytes

# report.json of one machine and of several, and what `edgeproof compare --json` prints, are of these very structs.
PUBLISHED: dict[str, type[msgspec.Struct]] = {"report": Report, "comparison": Comparison, "machines": Merged}


def schema(name: str) -> bytes:
    """One of the published schemas, as indented JSON."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(PUBLISHED[name])}
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def write(folder: Path) -> None:
    """Write every schema as <name>.schema.json."""
    for name in PUBLISHED:
        write_bytes(folder / f"{name}.schema.json", schema(name))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
