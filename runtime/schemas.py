"""The published JSON Schemas of `doctor` and `inspect`: `python -m edgeproof.runtime.schemas docs/schemas`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edgeproof.runtime import publishing
from edgeproof.runtime.doctor import Report
from edgeproof.runtime.inspection import Inspection

# What `--json` prints is one document of these very structs.
PUBLISHED: dict[str, type[msgspec.Struct]] = {"doctor": Report, "inspect": Inspection}

if __name__ == "__main__":
    publishing.write(PUBLISHED, Path(sys.argv[1]))
