"""The one table that sums a report up: a row a file, with what travels and what is true of this machine alone."""

from __future__ import annotations

from edgeproof.benchmarks import tables
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Table
from edgeproof.benchmarks.statistics import Summary
from edgeproof.benchmarks.tables import NONE, three_digits

HEADER = (
    *("File", "Recipe", "Size", "Top-1 [95 %]", "Drop", "Same answers"),
    *("p50 ms", "p90 ms", "Images/s", "Peak MiB"),
)


def overview(report: Report) -> Table:
    """Recipe, size, answers, latency, throughput and memory of each file, at the fewest threads."""
    drops = "Drop and same answers are against Keras, from the verification that each file carries. "
    return Table(
        (drops if any(file.verification for file in report.files) else "")
        + "Latency is of one picture a call, images a second in batches of 32, "
        + f"with {tables.threads(report.threads[0])}.",
        HEADER,
        tuple(_row(file) for file in report.files),
    )


def _row(file: FileReport) -> tuple[str, ...]:
    one = Summary.of(min(file.measurements, key=lambda m: m.threads))
    proof = file.verification
    return (
        file.name,
        file.recipe,
        tables.mb(file.size_bytes),
        tables.percent_with_interval(file.quality.top1) if file.quality is not None else NONE,
        # Adding zero turns a rounded -0.0 into 0.0.
        f"{round(proof.drop_points, 2) + 0.0:.2f} points" if proof is not None else NONE,
        f"{proof.same_answers * 100:.1f} %" if proof is not None else NONE,
        three_digits(one.latency.p50_ms) + ("" if one.steady else " (not stable)"),
        three_digits(one.latency.p90_ms),
        f"{one.images_per_s:.0f}" if one.images_per_s else NONE,
        f"{one.rss_peak_mb:.0f}",
    )
