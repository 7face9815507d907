"""Reports as CSV: a line for each machine, file and number of threads, in plain numbers."""

from __future__ import annotations

import csv
import io

from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.figures import steady, top1, whole
from edgeproof.benchmarks.merging import Merged
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.statistics import Latency

HEADER = (
    *("cpu", "usable_cores", "created", "file", "recipe", "sha256", "size_bytes"),
    *("images", "top1", "top1_low", "top1_high", "drop_points", "same_answers"),
    *("threads", "p10_ms", "p50_ms", "p90_ms", "p99_ms", "images_per_s", "cold_start_ms", "peak_mib", "steady"),
)


def table(merged: Merged) -> str:
    """The whole as CSV with a header; shares are 0 to 1, and what was not measured is empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(HEADER)
    for report in merged.reports:
        for file in report.files:
            for measurement in file.measurements:
                writer.writerow((*_machine(report), *_file(file), *_speed(measurement)))
    return written.getvalue()


def _machine(report: Report) -> tuple[object, ...]:
    return report.environment.cpu, report.environment.usable_cores, report.created


def _file(file: FileReport) -> tuple[object, ...]:
    found, proof = top1(file), file.verification
    answers = ("", "", "", "") if found is None else (found.total, found.share, *found.interval())
    proven = ("", "") if proof is None else (proof.drop_points, proof.same_answers)
    return (file.name, file.recipe, file.sha256, file.size_bytes, *map(_number, answers), *map(_number, proven))


def _speed(measurement: Measurement) -> tuple[object, ...]:
    figures = (
        *(whole(measurement, metric) for metric in ("p10", "p50", "p90")),
        Latency.of(measurement.samples_ns).p99_ms,
        *(whole(measurement, metric) for metric in ("throughput", "cold-start")),
        max(block.rss_peak_mb for block in measurement.blocks),
    )
    return (measurement.threads, *map(_number, figures), int(steady(measurement)))


def _number(value: object) -> object:
    """Six significant digits, and nothing for what is not a number."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return value
