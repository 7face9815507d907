"""The figures that a comparison is about: which number of a report each metric is, and in what unit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgeproof.benchmarks.blocks import Block, Measurement
from edgeproof.benchmarks.comparison import Metric, Unit
from edgeproof.benchmarks.report import FileReport
from edgeproof.benchmarks.statistics import Summary
from edgeproof.runtime.accuracy import Accuracy
from edgeproof.runtime.contract import Verification

# Percentiles of warm calls. The tenth is that of calls that nothing disturbed: noise only ever adds time
# (Chen and Revels, "Robust benchmarking in noisy environments", 2016).
PERCENTILES: dict[Metric, int] = {"p10": 10, "p50": 50, "p90": 90}


def cold_start_ms(block: Block) -> float:
    """From the start of the import to the first answer."""
    return block.import_ms + block.load_ms + block.first_answer_ms


FIGURES: dict[Metric, Callable[[Block], float]] = {
    "throughput": lambda block: block.images_per_s,
    "cold-start": cold_start_ms,
    "memory": lambda block: block.rss_peak_mb,
}
UNITS: dict[Metric, Unit] = {"throughput": "images/s", "memory": "MiB"}


def of_blocks(measurement: Measurement, metric: Metric) -> list[float]:
    """A figure of every block that has it: where batches were not measured, there is no throughput."""
    if metric in PERCENTILES:
        return [float(np.percentile(block.samples_ns, PERCENTILES[metric])) / 1e6 for block in measurement.blocks]
    return [value for value in map(FIGURES[metric], measurement.blocks) if value > 0]


def whole(measurement: Measurement, metric: Metric) -> float:
    """A percentile over all calls, or the median over the blocks; not a number where no block has the figure."""
    if metric in PERCENTILES:
        return float(np.percentile(measurement.samples_ns, PERCENTILES[metric])) / 1e6
    found = of_blocks(measurement, metric)
    return float(np.median(found)) if found else math.nan


def steady(measurement: Measurement) -> bool:
    """Whether a report calls this measurement steady, so that it can be held against one of another time."""
    return Summary.of(measurement).steady


def top1(file: FileReport) -> Accuracy | None:
    """Right answers on the pictures of the benchmark, or else on those of the file's own verification."""
    if file.quality is not None:
        return file.quality.top1
    found = file.verification
    return None if found is None else _counted(found)


def same_answers(file: FileReport) -> Accuracy | None:
    """Answers that are those of Keras, by the file's own verification."""
    found = file.verification
    return None if found is None else Accuracy(found.images - found.different_answers, found.images)


def different_at_most(old: FileReport, new: FileReport) -> int | None:
    """On how many of the same pictures two files can have answered differently; None where that is not known.

    Each differs from the same Keras model on a counted number of pictures, so from one another on their sum at most.
    """
    if old.sha256 == new.sha256 and top1(old) == top1(new):
        return 0
    first, second = old.verification, new.verification
    if first is None or second is None:
        return None
    if _reference(first) != _reference(second) or (_counted(first), _counted(second)) != (top1(old), top1(new)):
        return None
    return first.different_answers + second.different_answers


def _counted(found: Verification) -> Accuracy:
    return Accuracy(round(found.top1 * found.images), found.images)


def _reference(found: Verification) -> tuple[object, ...]:
    """What tells one Keras model on one set of pictures from another."""
    return found.images_digest, found.images, found.reference_top1, found.reference_top5


SHARES: tuple[tuple[Metric, Callable[[FileReport], Accuracy | None]], ...] = (
    ("top-1", top1),
    ("same-answers", same_answers),
)
