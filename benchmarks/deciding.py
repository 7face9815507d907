"""From raw samples of two runs to a decision: how large is the difference, and is it beyond a limit?

The statistics of `edgeproof compare`; docs/reading-a-report.md tells them in words.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["regression", "improvement", "no difference", "cannot tell"]

Z = NormalDist().inv_cdf(0.975)
RESAMPLES = 2000
# How many resampled calls are held at a time, so that long reports need no more memory than short ones.
CALLS_AT_ONCE = 2_000_000
# Student's t at 97.5 % for few degrees of freedom, where the expansion behind it is not exact enough.
STUDENT = (12.7062, 4.3027, 3.1824, 2.7764)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference with its 95 % interval: the logarithm of a ratio, or points. Infinite ends: nothing is known."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"Expected low <= value <= high, got {self}.")

    def mirrored(self) -> Estimate:
        """The same difference seen from the other side."""
        return Estimate(-self.value, -self.high, -self.low)

    def widened(self, deviation: float) -> Estimate:
        """The estimate with a further standard deviation, independent of what its interval holds already."""
        more = Z * deviation
        return Estimate(
            self.value,
            self.value - math.hypot(self.value - self.low, more),
            self.value + math.hypot(self.high - self.value, more),
        )


def verdict(worse: Estimate, limit: float) -> Verdict:
    """Decide about a difference, positive where the new one is worse, by its whole interval; `limit` is in its unit.

    A regression or an improvement lies beyond the limit with its whole interval, no difference within it.
    """
    if not limit >= 0:
        raise ValueError(f"Expected a limit of at least 0, got {limit}.")
    if worse.low > limit:
        return "regression"
    if worse.high < -limit:
        return "improvement"
    return "no difference" if -limit <= worse.low and worse.high <= limit else "cannot tell"


def quantile_ratios(
    old: Sequence[Sequence[int]], new: Sequence[Sequence[int]], percentiles: Sequence[float]
) -> tuple[Estimate, ...]:
    """The logarithm of new / old of each percentile over all calls, from calls by block (one process each).

    The interval is of a hierarchical bootstrap: blocks are drawn, and calls within them (Kalibera and Jones, "Rigorous
    benchmarking in reasonable time", ISMM 2013). It is expanded for the few blocks that there are (Hesterberg, "What
    teachers should know about the bootstrap", The American Statistician 69, 2015). Fewer than two blocks on a side
    tell nothing of the difference between processes, so that its ends are infinite.
    """
    before, after = (np.log(np.percentile(np.concatenate(blocks), percentiles)) for blocks in (old, new))
    values = after - before
    if min(len(old), len(new)) < 2:
        return tuple(Estimate(float(value), -math.inf, math.inf) for value in values)
    drawn = np.log(_resampled(new, percentiles)) - np.log(_resampled(old, percentiles))
    tail = 100 * expanded_tail(len(old), len(new))
    lows, highs = np.percentile(drawn, (tail, 100 - tail), axis=1)
    return tuple(
        Estimate(float(value), float(min(value, low)), float(max(value, high)))
        for value, low, high in zip(values, lows, highs, strict=True)
    )


def figure_ratio(old: Sequence[float], new: Sequence[float]) -> Estimate:
    """The logarithm of new / old of a positive figure of which every block has one, with Student's interval."""
    before, after = np.log(np.asarray(old, np.float64)), np.log(np.asarray(new, np.float64))
    value = float(after.mean() - before.mean())
    if min(len(old), len(new)) < 2:
        return Estimate(value, -math.inf, math.inf)
    deviation = math.sqrt(before.var(ddof=1) / len(old) + after.var(ddof=1) / len(new))
    half = student(len(old) + len(new) - 2) * deviation
    return Estimate(value, value - half, value + half)


def share_change(old: tuple[int, int], new: tuple[int, int], different: int | None = None) -> Estimate:
    """The change of a share in points, from (counted, of all) on each side: Agresti and Caffo's interval.

    With `different`, both sides are the same pictures, of which at most so many were answered differently; the
    interval is then the paired one of Bonett and Price (2012) with all of those as flips. (Agresti and Caffo, "Simple
    and effective confidence intervals for proportions", The American Statistician 54, 2000.)
    """
    (before, n), (after, m) = old, new
    value = 100 * (after / m - before / n)
    if different is not None:
        flips = max(different, abs(after - before)) + 2
        centre, half = (after - before) / (n + 2), Z * math.sqrt(flips) / (n + 2)
    else:
        p, q = (before + 1) / (n + 2), (after + 1) / (m + 2)
        centre, half = q - p, Z * math.sqrt(p * (1 - p) / (n + 2) + q * (1 - q) / (m + 2))
    return Estimate(value, min(value, 100 * (centre - half)), max(value, 100 * (centre + half)))


def student(freedom: int) -> float:
    """Student's t at 97.5 %: exact for up to four degrees of freedom, then to four digits.

    (Abramowitz and Stegun, Handbook of mathematical functions, 26.7.5.)
    """
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z, n = Z, freedom
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / n ** (power + 1) for power, term in enumerate(terms))


def expanded_tail(old_blocks: int, new_blocks: int) -> float:
    """The share of resamples to leave out at each end, so that the interval of few blocks is not too narrow."""
    least = min(old_blocks, new_blocks)
    return NormalDist().cdf(-math.sqrt(least / (least - 1)) * student(old_blocks + new_blocks - 2))


def _resampled(blocks: Sequence[Sequence[int]], percentiles: Sequence[float]) -> NDArray[np.float64]:
    """Percentiles of resampled blocks and calls, of shape (percentiles, resamples).

    The draws depend on the samples alone, so that swapping old and new mirrors the result exactly.
    """
    lengths = np.array([len(block) for block in blocks])
    calls, starts = np.concatenate([np.asarray(block, np.float64) for block in blocks]), np.cumsum(lengths) - lengths
    random = np.random.default_rng(zlib.crc32(calls.tobytes()))
    width = round(lengths.mean())
    at_once = max(1, CALLS_AT_ONCE // (width * len(blocks)))
    found = []
    for start in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - start)
        chosen = random.integers(0, len(blocks), (size, len(blocks), 1))
        places = (random.random((size, len(blocks), width)) * lengths[chosen]).astype(np.int64)
        drawn = calls[starts[chosen] + places]
        found.append(np.percentile(drawn.reshape(size, -1), percentiles, axis=1))
    return np.concatenate(found, axis=1)
