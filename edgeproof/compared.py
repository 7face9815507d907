"""What `compare` and `report` print, within 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from edgeproof import show as showing

if TYPE_CHECKING:
    from edgeproof.benchmarks.comparison import Comparison
    from edgeproof.benchmarks.merging import Merged

WIDTH = 80
# What is shortened to fit a terminal of 80 columns.
SHORT = {"Threads": "Thr.", "Cold start ms": "Cold ms", "same as Keras": "same"}


def show(comparison: Comparison) -> None:
    """Print a table for each pair of files, then what follows."""
    from edgeproof.benchmarks import decisions

    for part in decisions.tables(comparison):
        print(part.caption)
        header = [SHORT.get(name, name) for name in part.header]
        showing.table(header, [[_short(cell) for cell in row] for row in part.rows])
    for line in (*decisions.remarks(comparison), decisions.sentence(comparison)):
        print(textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False))


def machines(merged: Merged) -> None:
    """Print what each machine is, and how fast each file is there."""
    from edgeproof.benchmarks import merging

    for letter, report in zip(merging.letters(merged), merged.reports, strict=True):
        machine = report.environment
        print(f"{letter}  {machine.cpu}, {machine.usable_cores} of {machine.cores} cores, {report.created}")
    rows = merging.speed(merged).rows
    for name in dict.fromkeys(row[0] for row in rows):
        print(name)
        header = [SHORT.get(cell, cell) for cell in merging.SPEED_HEADER[1:]]
        showing.table(header, [row[1:] for row in rows if row[0] == name])


def _short(cell: str) -> str:
    return SHORT.get(cell, cell).replace(" to ", ", ").replace(" points", " pt")
