"""The published JSON Schemas of what `verify` and `evaluate` print; run as a program, it writes them to a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from edgeproof.convert.verification import Summary
from edgeproof.runtime import publishing
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

if __name__ == "__main__":
    publishing.write(PUBLISHED, Path(sys.argv[1]))
