"""The published JSON Schemas of reports and comparisons: `python -m edgeproof.benchmarks.schemas docs/schemas`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edgeproof.benchmarks.comparison import Comparison
from edgeproof.benchmarks.merging import Merged
from edgeproof.benchmarks.report import Report
from edgeproof.runtime import publishing

# report.json of one machine and of several, and what `edgeproof compare --json` prints, are of these very structs.
PUBLISHED: dict[str, type[msgspec.Struct]] = {"report": Report, "comparison": Comparison, "machines": Merged}

if __name__ == "__main__":
    publishing.write(PUBLISHED, Path(sys.argv[1]))
