"""A report's plots of sums: what a first answer, a picture and a process are made of. Needs matplotlib."""

from __future__ import annotations

import numpy as np

from edgeproof.benchmarks import tables
from edgeproof.benchmarks.details import STAGES
from edgeproof.benchmarks.drawing import figure, stacked_bars
from edgeproof.benchmarks.plots import first, wrapped
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Figure

Parts = dict[str, list[float]]
STAGE_NAMES = dict(zip(STAGES, ("decode", "resize", "quantise", "invoke", "top-k"), strict=True))


def cold_start(report: Report) -> Figure:
    """Stacked bars of what passes until the first answer; loading in three parts where they were measured."""
    found = [first(file) for file in report.files]
    split = all(one.interpreter_ms for one in found)
    loading: Parts = {
        "read and check": [one.read_ms for one in found],
        "interpreter": [one.interpreter_ms for one in found],
        "allocate": [one.allocate_ms for one in found],
    }
    parts: Parts = {
        "import": [one.import_ms for one in found],
        **(loading if split else {"load": [one.load_ms for one in found]}),
        "first answer": [one.first_answer_ms for one in found],
    }
    caption = "Cold start: from a fresh Python process to the first answer, medians. "
    caption += (
        "Import is the runtime's modules; the interpreter comes with the import of LiteRT's library."
        if split
        else "Import is the runtime's modules, load is LiteRT's library, the file and its graph."
    )
    return _bars(report, report.files, caption, "Cold start until the first answer", parts, "milliseconds")


def stages(report: Report) -> Figure | None:
    """Stacked bars of the way from a picture file to labels; None where it was not measured."""
    measured = [
        (file, [block.stages for block in file.measurements[0].blocks if block.stages is not None])
        for file in report.files
        if file.measurements
    ]
    measured = [(file, found) for file, found in measured if found]
    if not measured:
        return None
    parts = {
        name: [
            float(np.median(np.concatenate([getattr(s, f"{stage}_ns") for s in found]))) / 1e6 for _, found in measured
        ]
        for stage, name in STAGE_NAMES.items()
    }
    caption = f"From a picture file to its best labels, medians of each stage alone, with {report.stage_files}."
    return _bars(report, [file for file, _ in measured], caption, "From file to labels", parts, "milliseconds")


def memory(report: Report) -> Figure:
    """Stacked bars of resident memory: before the file, added by loading it, added by answering."""
    found = [first(file) for file in report.files]
    parts: Parts = {
        "before": [one.rss_before_mb for one in found],
        "loading": [max(0.0, one.rss_loaded_mb - one.rss_before_mb) for one in found],
        "answering": [max(0.0, one.rss_peak_mb - max(one.rss_loaded_mb, one.rss_before_mb)) for one in found],
    }
    caption = "Resident memory up to its peak, one picture a call. Before is Python with NumPy alone."
    return _bars(report, report.files, caption, "Peak memory", parts, "MiB")


def _bars(
    report: Report, files: tuple[FileReport, ...] | list[FileReport], caption: str, what: str, parts: Parts, unit: str
) -> Figure:
    names = [wrapped(file) for file in files]
    told = "; ".join(
        f"{file.name} {tables.three_digits(sum(values))} {unit}, of which "
        + ", ".join(f"{part} {tables.three_digits(value)}" for part, value in zip(parts, values, strict=True))
        for file, *values in zip(files, *parts.values(), strict=True)
    )
    return figure(
        f"{caption} With {tables.threads(report.threads[0])}.",
        f"Stacked bars. {what}: {told}.",
        1.2 + 0.25 * (len(parts) > 3) + 0.55 * len(names),
        lambda axes, theme: stacked_bars(axes, theme, names, parts, unit),
    )
