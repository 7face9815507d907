"""Loss and accuracy by epoch, over both phases on one time line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from edgeproof.runtime.atomic import write_text
from edgeproof.runtime.errors import DataError
from edgeproof.train.run import table


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, numbered from 1 through both phases.

    `watched` is "validation", or "test" where there is no validation set; then nothing is chosen by what is seen.
    `learning_rate` is that after its last step, `seconds` what it took with all that is done once an epoch (after an
    interruption, since the training went on).
    """

    epoch: int
    phase: str
    loss: float
    top1: float
    watched: str
    watched_loss: float
    watched_top1: float
    learning_rate: float = 0.0
    seconds: float = 0.0


COLUMNS = tuple(field.name for field in fields(Epoch))
_TEXTS, _WHOLE = {"phase", "watched"}, {"epoch"}


def write(path: Path, history: Sequence[Epoch]) -> None:
    """Write a history as CSV, whole or not at all."""
    write_text(path, table(COLUMNS, [astuple(epoch) for epoch in history]))


def read(path: Path) -> tuple[Epoch, ...]:
    """Read a history. Raises `DataError` when it is damaged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(Epoch(*(_value(name, row[name]) for name in COLUMNS)) for row in csv.DictReader(file))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: the history cannot be read ({error}). Start afresh with --overwrite.") from None


def _value(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    return int(text) if name in _WHOLE else float(text)
