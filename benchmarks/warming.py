"""When a process has warmed up: found from its calls, not set beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

# The median of so many calls counts as one reading.
WINDOW = 5
# Warm is when two readings in a row are this close; a disturbed machine may never be, so there is a limit as well.
SETTLED = 0.05


def is_warm(samples_ns: Sequence[int]) -> bool:
    """Whether the running median has settled: the last five calls, and the five before them, within 5 %."""
    if len(samples_ns) < 2 * WINDOW:
        return False
    last, before = median(samples_ns[-WINDOW:]), median(samples_ns[-2 * WINDOW : -WINDOW])
    return abs(last - before) <= SETTLED * before
