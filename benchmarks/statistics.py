"""Statistics of raw samples: derived when they are asked for, never stored in their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeproof.benchmarks.blocks import Block, Measurement

# Medians of blocks that lie further apart than this tell of a machine that was busy with something else.
STEADY_RATIO = 1.15


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
        return cls(*(float(p) / 1e6 for p in np.percentile(samples_ns, (50, 90, 95, 99))))


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told of one file at one number of threads: medians over the blocks, and the highest peak."""

    latency: Latency
    images_per_s: float
    import_ms: float
    load_ms: float
    first_answer_ms: float
    rss_before_mb: float
    rss_loaded_mb: float
    rss_peak_mb: float
    block_ratio: float

    @classmethod
    def of(cls, measurement: Measurement) -> Summary:
        """Summarise the blocks of a measurement."""
        blocks = measurement.blocks
        medians = [float(np.median(block.samples_ns)) for block in blocks]
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
        )

    @property
    def steady(self) -> bool:
        """Whether the blocks agree with each other; where they do not, measure again on an idle machine."""
        return self.block_ratio <= STEADY_RATIO


def _median(blocks: Sequence[Block], figure: Callable[[Block], float]) -> float:
    return float(np.median([figure(block) for block in blocks]))
