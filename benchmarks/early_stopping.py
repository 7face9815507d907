"""MLPerf's early-stopping estimate: a latency that the true percentile does not exceed, with 99 % confidence.

MLPerf Inference Rules, appendix "Early Stopping Criterion" (github.com/mlcommons/inference_policies); the single-stream
scenario is judged by it at the 90th percentile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

PERCENTILE = 0.9
CONFIDENCE = 0.99


def estimate_ns(samples_ns: Sequence[int], *, percentile: float = PERCENTILE) -> int | None:
    """The early-stopping estimate of a percentile of latency; None for too few samples (64 at the 90th percentile).

    The slowest t calls are set aside, one of them read: t is the largest number for which so few slow calls would be
    rare (1 %) if the percentile were higher than the estimate.
    """
    discarded = _slow_calls(len(samples_ns), 1 - percentile)
    return sorted(samples_ns)[-discarded] if discarded else None


def _slow_calls(calls: int, share: float) -> int:
    """The largest t with P(Binomial(calls, share) <= t) <= 1 %; 0 where even t = 1 is too likely."""
    total, t = 0.0, 0
    while True:
        total += _probability(t, calls, share)
        if total > 1 - CONFIDENCE:
            return max(0, t - 1)
        t += 1


def _probability(successes: int, trials: int, share: float) -> float:
    if successes > trials:
        return 1.0
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    return math.exp(ways + successes * math.log(share) + (trials - successes) * math.log1p(-share))
