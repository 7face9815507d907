"""Statistics of raw samples: derived when they are asked for, never stored in their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edgeproof.benchmarks import early_stopping
from edgeproof.benchmarks.blocks import Block, Measurement
from edgeproof.benchmarks.stability import Stability, stability

# Medians of blocks that lie further apart than this tell of a machine that was busy with something else.
STEADY_RATIO = 1.15
RESAMPLES = 1000
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of warm latency, in milliseconds."""

    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, samples_ns: Sequence[int]) -> Latency:
        """The percentiles of samples, interpolated linearly between neighbours."""
        if not samples_ns:
            raise ValueError("Expected at least one sample.")
        return cls(*(float(p) / 1e6 for p in np.percentile(samples_ns, PERCENTILES)))


@lru_cache(maxsize=64)
def intervals(measurement: Measurement, *, seed: int = 0) -> tuple[Latency, Latency]:
    """The lower and upper ends of 95 % intervals of each percentile: whole blocks are drawn again, not single calls.

    Calls of a block share a process and a moment, so they are no independent samples (cluster bootstrap, Davison and
    Hinkley 1997, section 3.8). Few blocks make an interval too narrow; two make it the range of the two.
    """
    shortest = min(len(block.samples_ns) for block in measurement.blocks)
    calls = np.array([block.samples_ns[:shortest] for block in measurement.blocks])
    picks = np.random.default_rng(seed).integers(0, len(calls), (RESAMPLES, len(calls)))
    drawn = np.percentile(calls[picks].reshape(RESAMPLES, -1), PERCENTILES, axis=1) / 1e6
    low, high = np.percentile(drawn, (2.5, 97.5), axis=1)
    return Latency(*map(float, low)), Latency(*map(float, high))


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told of one file at one number of threads: medians over the blocks, and the highest peak.

    `load_ms` is the sum of `read_ms`, `interpreter_ms` and `allocate_ms`, but for their being medians.
    `early_stopping_ms` is MLPerf's estimate of p90, None for fewer than 64 calls; `paced` the latency with pauses;
    `images_per_s` is in batches of 32.
    """

    latency: Latency
    images_per_s: float
    import_ms: float
    load_ms: float
    first_answer_ms: float
    rss_before_mb: float
    rss_loaded_mb: float
    rss_peak_mb: float
    block_ratio: float
    read_ms: float
    interpreter_ms: float
    allocate_ms: float
    early_stopping_ms: float | None
    paced: Latency | None
    warm_up_calls: float
    stability: Stability

    @classmethod
    def of(cls, measurement: Measurement) -> Summary:
        """Summarise the blocks of a measurement."""
        blocks = measurement.blocks
        medians = [float(np.median(block.samples_ns)) for block in blocks]
        slow_ns = early_stopping.estimate_ns(measurement.samples_ns)
        return cls(
            latency=Latency.of(measurement.samples_ns),
            images_per_s=_median(blocks, lambda block: block.images_per_s),
            import_ms=_median(blocks, lambda block: block.import_ms),
            load_ms=_median(blocks, lambda block: block.load_ms),
            first_answer_ms=_median(blocks, lambda block: block.first_answer_ms),
            rss_before_mb=_median(blocks, lambda block: block.rss_before_mb),
            rss_loaded_mb=_median(blocks, lambda block: block.rss_loaded_mb),
            rss_peak_mb=max(block.rss_peak_mb for block in blocks),
            block_ratio=max(medians) / min(medians),
            read_ms=_median(blocks, lambda block: block.read_ms),
            interpreter_ms=_median(blocks, lambda block: block.interpreter_ms),
            allocate_ms=_median(blocks, lambda block: block.allocate_ms),
            early_stopping_ms=slow_ns / 1e6 if slow_ns is not None else None,
            paced=Latency.of(measurement.paced_ns) if measurement.paced_ns else None,
            warm_up_calls=_median(blocks, lambda block: len(block.warm_up_ns)),
            stability=_stability(measurement),
        )

    @property
    def steady(self) -> bool:
        """Whether the blocks agree with each other, and the file with itself; `unsteady` says what to do if not."""
        return not self.unsteady

    @property
    def unsteady(self) -> str:
        """Why the measurement is not steady, and what to do; empty where it is."""
        if self.stability.reason or self.block_ratio <= STEADY_RATIO:
            return self.stability.reason
        return f"medians of blocks lie apart by a factor of {self.block_ratio:.2f}: measure again on an idle machine"


@lru_cache(maxsize=64)
def _stability(measurement: Measurement) -> Stability:
    return stability(measurement)


def throughput(measurement: Measurement) -> dict[int, float]:
    """Images a second by batch size: the median over the blocks."""
    found: dict[int, list[float]] = {}
    for block in measurement.blocks:
        for each in block.offline:
            found.setdefault(each.batch, []).append(each.images_per_s)
    return {batch: float(np.median(rates)) for batch, rates in found.items()}


def _median(blocks: Sequence[Block], figure: Callable[[Block], float]) -> float:
    return float(np.median([figure(block) for block in blocks]))
