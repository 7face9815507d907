"""Whether the machine was calm: a file is measured against itself (A/A), and its beginning against its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.benchmarks.blocks import Block, Measurement

# A file may differ from itself by this factor, with its whole interval, and no more.
LIMIT = 1.1
RESAMPLES = 500
SEED = 0


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times longer the median of one half is than the other's, with a 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def level(self) -> bool:
        """Whether the whole interval lies within the limit."""
        return self.low >= 1 / LIMIT and self.high <= LIMIT

    @property
    def holds_one(self) -> bool:
        """Whether there may be no difference at all."""
        return self.low <= 1 <= self.high


@dataclass(frozen=True, slots=True)
class Stability:
    """An A/A test: `halves` are blocks in turn, as those of two files are; `drift` is the later ones to the earlier.

    Noise shows in the first, a processor that gets slower (heat, a neighbour, a governor) in the second. None for a
    single block, which tells nothing.
    """

    halves: Ratio | None
    drift: Ratio | None

    @property
    def stable(self) -> bool:
        """Whether a difference of files by more than a tenth would be believed."""
        return self.halves is not None and self.halves.level and self.drift is not None and self.drift.level

    @property
    def reason(self) -> str:
        """What is wrong and what to do, in one line; empty for a stable measurement."""
        if self.halves is None or self.drift is None:
            return "one block tells nothing of its stability: measure more rounds"
        if not self.drift.level and not self.drift.holds_one:
            return (
                f"the machine's speed changed by a factor of {self.drift.value:.2f} on the way "
                f"[{self.drift.low:.2f}–{self.drift.high:.2f}]: let it cool, stop other programs, set the frequency "
                "governor to performance, and measure again"
            )
        if not self.stable:
            low, high = min(self.halves.low, self.drift.low), max(self.halves.high, self.drift.high)
            return (
                f"measured twice, the file may differ from itself by a factor of {low:.2f} to {high:.2f}: stop other "
                "programs, leave out --quick, and measure again"
            )
        return ""


def stability(measurement: Measurement) -> Stability:
    """Judge the blocks of one file at one number of threads, in the order they were run."""
    blocks = measurement.blocks
    if len(blocks) < 2:
        return Stability(None, None)
    middle = len(blocks) // 2
    return Stability(_ratio(blocks[1::2], blocks[::2]), _ratio(blocks[middle:], blocks[:middle]))


def _ratio(slow: Sequence[Block], fast: Sequence[Block]) -> Ratio:
    draw = np.random.default_rng(SEED)
    value = _median(slow) / _median(fast)
    drawn = _medians(slow, draw) / _medians(fast, draw)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Ratio(float(value), float(min(low, value)), float(max(high, value)))


def _median(blocks: Sequence[Block]) -> float:
    return float(np.median(np.concatenate([block.samples_ns for block in blocks])))


def _medians(blocks: Sequence[Block], draw: np.random.Generator) -> NDArray[np.float64]:
    """Medians of blocks drawn with replacement, and of calls drawn within each: one block alone must not look exact."""
    shortest = min(len(block.samples_ns) for block in blocks)
    calls = np.array([block.samples_ns[:shortest] for block in blocks], np.float64)
    chosen = draw.integers(0, len(blocks), (RESAMPLES, len(blocks), 1))
    within = draw.integers(0, shortest, (RESAMPLES, len(blocks), shortest))
    return np.asarray(np.median(calls[chosen, within].reshape(RESAMPLES, -1), axis=1), np.float64)
