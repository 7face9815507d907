"""From raw samples of two runs to a decision: how large is the difference, and is it beyond a limit?

The statistics of `edgeproof compare`; docs/reading-a-report.md tells them in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["regression", "improvement", "no difference", "cannot tell"]

Logarithms = NDArray[np.float64]

Z = NormalDist().inv_cdf(0.975)
TAIL = 0.025
# The logarithm from which on two blocks are not alike: a core shared with a busy neighbour is slower by 0.3 to 0.6.
ALIKE = 0.15
# A shift counts that has this share of the pairs near it which the one with most has.
CROWD = 0.4
# Below this share of all pairs there is no crowd at all.
THIN = 0.25
FEWEST_TO_PERMUTE = 6
MOST_SPLITS = 400
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
            min(self.low, self.value - math.hypot(self.value - self.low, more)),
            max(self.high, self.value + math.hypot(self.high - self.value, more)),
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


def ratio(old: Sequence[float], new: Sequence[float]) -> Estimate:
    """The logarithm of new / old of a positive figure of which every block, one process each, has one.

    The estimate is a redescending one of the shift between blocks (Tukey's biweight): of all pairs of an old and a new
    block those count that are alike, so that a disturbed block is not held against an undisturbed one. Its interval
    holds the shifts that a permutation test of whole blocks does not reject (Lehmann, Nonparametrics, 1975); it
    stands without assumptions on the noise where the blocks were run in turn. Fewer than six blocks a side
    form no crowd; they, and scattered ones, get Student's interval of the means, and one block alone infinite ends.
    """
    if len(old) > len(new):
        return ratio(new, old).mirrored()
    before, after = (np.sort(np.log(np.asarray(side, np.float64))) for side in (old, new))
    mean, half = float(after.mean() - before.mean()), _student_half(before, after)
    value = _shift(before, after)
    if len(before) < FEWEST_TO_PERMUTE or value is None:
        return Estimate(mean, mean - half, mean + half)
    splits, widest = _splits(len(before), len(after)), max(ALIKE, abs(mean - value) + half)
    low, high = (value - sign * min(widest, _reach(before, after - value, splits, sign)) for sign in (1, -1))
    return Estimate(value, low, high)


def share_change(old: tuple[int, int], new: tuple[int, int], different: int | None = None) -> Estimate:
    """The change of a share in points, from (counted, of all) on each side: Agresti and Caffo's interval.

    With `different`, both sides are the same pictures, of which at most so many were answered differently, none of them
    for 0; the interval is then the paired one of Bonett and Price (2012) with all of those as flips. See Agresti and
    Caffo, "Simple and effective confidence intervals for proportions", The American Statistician 54 (2000).
    """
    (before, n), (after, m) = old, new
    value = 100 * (after / m - before / n)
    if different == 0:
        return Estimate(value, value, value)
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


def _shift(before: Logarithms, after: Logarithms) -> float | None:
    """The difference that many pairs of blocks are near to, refined among these; of several the least.

    Blocks on a disturbed and on an undisturbed core differ by as much from one another on both sides, so that there
    are pairs near the true shift and pairs near that shift with the disturbance added or taken away. None where the
    pairs are too scattered to tell any.
    """
    differences = (after - before[:, np.newaxis]).ravel()
    near = np.clip(1 - ((differences - differences[:, np.newaxis]) / ALIKE) ** 2, 0, None) ** 3
    crowd = near.sum(axis=1)
    if crowd.max() < THIN * len(differences):
        return None
    crowded = differences[crowd >= CROWD * crowd.max()]
    value = float(crowded[np.abs(crowded) <= np.abs(crowded).min() + 1e-9].mean())
    for _ in range(10):
        weights = _weights(differences - value)
        if weights.sum() > 0:
            value = float((weights * differences).sum() / weights.sum())
    return value


def _weights(differences: Logarithms) -> Logarithms:
    """Tukey's biweight: 1 for no difference, 0 from `ALIKE` on."""
    return np.clip(1 - (differences / ALIKE) ** 2, 0, None) ** 2


def _splits(first: int, second: int) -> NDArray[np.float32]:
    """Ways to deal blocks to two sides, of shape (ways, blocks * blocks): 1 for a pair across them; the true one first.

    All of them where they are few; else some, drawn, that stay the same when the sides change places.
    """
    count = first + second
    if math.comb(count, first) <= MOST_SPLITS:
        chosen = [set(each) for each in combinations(range(count), first)]
        dealt = np.array([[block in each for block in range(count)] for each in chosen])
    else:
        drawn = np.random.default_rng(0).random((MOST_SPLITS // 2, count)).argsort(axis=1) < first
        true = (np.arange(count) < first)[np.newaxis]
        dealt = np.concatenate([true, drawn, ~np.roll(drawn, first, axis=1)] if first == second else [true, drawn])
    across = dealt[:, :, np.newaxis] & ~dealt[:, np.newaxis, :]
    return np.asarray(across.reshape(len(dealt), -1), np.float32)


def _reach(before: Logarithms, after: Logarithms, splits: NDArray[np.float32], sign: int) -> float:
    """How far `after`, level with `before`, can be moved until the test rejects that they are; infinite where
    it never does before no two blocks are alike any more.
    """

    def rejected(step: float) -> bool:
        blocks = np.concatenate([before, after + sign * step])
        differences = (blocks - blocks[:, np.newaxis]).ravel()
        weights = _weights(differences)
        sums = splits @ np.stack([weights, weights * differences], axis=1)
        found = sign * sums[:, 1] / np.maximum(sums[:, 0], 1e-9)
        return bool((found >= found[0] - 1e-9).mean() <= TAIL)

    inside = 0.0
    for outside in ALIKE * np.array((0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)):
        if rejected(float(outside)):
            break
        inside = float(outside)
    else:
        return math.inf
    for _ in range(6):
        middle = (inside + float(outside)) / 2
        inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
    return float(outside)


def _student_half(before: Logarithms, after: Logarithms) -> float:
    """Half the width of Student's interval for the difference of the means; infinite for a single block."""
    if min(len(before), len(after)) < 2:
        return math.inf
    deviation = math.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after))
    return student(len(before) + len(after) - 2) * deviation
