"""A report in three sentences: what was measured, how fast it is, how good it is."""

from __future__ import annotations

from edgeproof.benchmarks.report import Report
from edgeproof.benchmarks.statistics import Latency, Summary
from edgeproof.benchmarks.tables import ms, percent_with_interval, threads

ONE_MACHINE = (
    "Latency, throughput and memory were measured on one machine and are true of that machine alone: they do "
    "not predict another's, not even which file is the fastest there. Accuracy and size travel with the file."
)
SYNTHETIC = "Timed with synthetic pictures: smooth random colours, because no data were given."


def summary(report: Report) -> tuple[str, str, str]:
    """Three sentences for who reads nothing else."""
    return _measured(report), _fast(report), _good(report)


def warnings(report: Report) -> tuple[str, ...]:
    """Which measurements are not stable, why, and what to do; nothing where all are."""
    found = [
        f"Not stable: {file.name} with {threads(measurement.threads)}: {Summary.of(measurement).unsteady}."
        for file in report.files
        for measurement in file.measurements
        if not Summary.of(measurement).steady
    ]
    if report.resumed_blocks:
        found.append(f"{report.resumed_blocks} blocks were measured by a run that was cut short.")
    return tuple(found)


def _measured(report: Report) -> str:
    count = len(report.files)
    files = "1 file was" if count == 1 else f"{count} files were"
    pictures = "synthetic pictures" if report.synthetic_pictures else f"pictures of {report.data_name}"
    if report.pictures == "golden":
        pictures = "golden examples"
    counts = " and ".join(threads(count) for count in report.threads)
    return f"{files} measured with {pictures} on {report.environment.cpu}, with {counts}."


def _fast(report: Report) -> str:
    medians = sorted(
        (Latency.of(measurement.samples_ns).p50_ms, file.name, measurement.threads)
        for file in report.files
        for measurement in file.measurements
    )
    (best, fastest, few), (worst, slowest, many) = medians[0], medians[-1]
    if len(medians) == 1:
        return f"{fastest} answers in a median of {ms(best)} a picture with {threads(few)}."
    return (
        f"{fastest} is the fastest, with a median of {ms(best)} a picture on {threads(few)}; the slowest is "
        f"{slowest} on {threads(many)}, with {ms(worst)}."
    )


def _good(report: Report) -> str:
    judged = [(file.name, file.quality.top1) for file in report.files if file.quality is not None]
    if not judged:
        return "Accuracy was not measured, because no labelled pictures were given."
    best, top1 = max(judged, key=lambda one: one[1].share)
    told = f"{best} is right on {percent_with_interval(top1)} of {top1.total} pictures (top-1, 95 % interval)"
    if len(judged) == 1:
        return f"{told}."
    alike = [name for name, other in judged if name != best and other.interval()[1] >= top1.interval()[0]]
    if not alike:
        return f"{told}, and no other file's interval reaches that."
    return f"{told}; the interval of {', '.join(alike)} overlaps with it."
