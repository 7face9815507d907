"""What `compare` and `report` print, within 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from edgeproof import show as showing

if TYPE_CHECKING:
    from edgeproof.benchmarks.comparison import Comparison

WIDTH = 80
# What is shortened to fit a terminal of 80 columns.
SHORT = {"Threads": "Thr.", "same as Keras": "same"}


def show(comparison: Comparison) -> None:
    """Print a table for each pair of files, then what follows."""
    from edgeproof.benchmarks import decisions

    for part in decisions.tables(comparison):
        print(part.caption)
        header = [SHORT.get(name, name) for name in part.header]
        showing.table(header, [[_short(cell) for cell in row] for row in part.rows])
    for line in (*decisions.remarks(comparison), decisions.sentence(comparison)):
        print(textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False))


def _short(cell: str) -> str:
    return SHORT.get(cell, cell).replace(" to ", ", ").replace(" points", " pt")
