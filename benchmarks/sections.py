"""The parts of a report for people: tables, figures, and sections that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of ready-made text below a header; the first cell of a row names it."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"Expected {len(self.header)} cells in '{self.caption}', got {row}.")


@dataclass(frozen=True, slots=True)
class Figure:
    """An SVG or PNG with its caption, and `alt`, which says what is to be seen for who cannot see it.

    An empty `alt` stands for the caption. `dark_image` is shown to readers who prefer dark pages; `small` ones stand
    in a row.
    """

    caption: str
    image: bytes
    alt: str = ""
    dark_image: bytes | None = None
    small: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the page: paragraphs, then figures, then a table."""

    title: str
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    table: Table | None = None
