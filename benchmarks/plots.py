"""A report's plots: latency, cold start, memory, what accuracy costs. Needs matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.benchmarks import tables
from edgeproof.benchmarks.confusion import confusion
from edgeproof.benchmarks.drawing import COLOURS, MARKERS, Theme, figure, legend_above, stacked_bars
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Figure
from edgeproof.benchmarks.statistics import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]


def plots(report: Report) -> tuple[Figure, ...]:
    """Every plot that the report has figures for. Raises `ConfigError` where matplotlib is missing."""
    judged = any(file.quality for file in report.files)
    speed = (latency(report), cold_start(report), memory(report))
    matrices = tuple(confusion(file) for file in report.files if file.quality)
    return ((trade_off(report),) if judged else ()) + speed + matrices


def latency(report: Report) -> Figure:
    """Boxes of every warm call, one a file and number of threads."""
    runs = [(file, m) for file in report.files for m in file.measurements]
    samples = [np.asarray(m.samples_ns) / 1e6 for _, m in runs]
    names = [f"{_wrapped(file)}\n{tables.threads(m.threads)}" for file, m in runs]
    medians = ", ".join(f"{f.name} with {tables.threads(m.threads)} {_median(Summary.of(m))}" for f, m in runs)

    def draw(axes: Axes, theme: Theme) -> None:
        style = _box_style(theme)
        boxes = axes.boxplot(samples, orientation="horizontal", whis=(1, 99), patch_artist=True, **style)
        for box, (file, _) in zip(boxes["boxes"], runs, strict=True):
            box.set_facecolor(COLOURS[report.files.index(file) % len(COLOURS)])
        axes.set_yticks(range(1, len(runs) + 1), names)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("milliseconds a picture")
        axes.grid(axis="x", color=theme.faint, linewidth=0.6)

    caption = (
        "Latency of warm calls, one picture a call: the box holds half of them, its line is the median, and "
        "the whiskers go from the 1st to the 99th percentile."
    )
    return figure(caption, f"Box plots of latency. Medians: {medians}.", 0.8 + 0.6 * len(runs), draw)


def trade_off(report: Report) -> Figure:
    """Accuracy over latency; the area of a point is the file's size, and a line joins the best trade-offs."""
    judged = [(file, file.quality.top1) for file in report.files if file.quality]
    points = [(_first(file).latency.p50_ms, 100 * top1.share) for file, top1 in judged]
    largest = max(file.size_bytes for file, _ in judged)

    def draw(axes: Axes, theme: Theme) -> None:
        for (file, top1), (x, y) in zip(judged, points, strict=True):
            index = report.files.index(file)
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            low, high = top1.interval()
            axes.vlines(x, 100 * low, 100 * high, color=colour, linewidth=1.5)
            area = 30 + 370 * file.size_bytes / largest
            axes.scatter(x, y, s=area, color=colour, marker=marker, alpha=0.8, zorder=3)
            label = f"{file.name}, {tables.mb(file.size_bytes)}"
            axes.scatter([], [], s=50, color=colour, marker=marker, label=label)
        axes.plot(*zip(*pareto(points), strict=True), color=theme.ink, linestyle=":", linewidth=1, zorder=1)
        axes.margins(0.2)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"median milliseconds a picture, {tables.threads(report.threads[0])}")
        axes.set_ylabel("top-1 in %, with its 95 % interval")
        axes.grid(color=theme.faint, linewidth=0.6)
        legend_above(axes, columns=1)

    told = "; ".join(
        f"{file.name} {y:.1f} % at {tables.ms(x)}" for (file, _), (x, y) in zip(judged, points, strict=True)
    )
    caption = (
        "Accuracy, latency and size: up and to the left is better, a larger point is a larger file. The "
        "dotted line joins the files that no other one beats in both."
    )
    return figure(caption, f"Scatter of accuracy over latency: {told}.", 3.2 + 0.2 * len(judged), draw)


def cold_start(report: Report) -> Figure:
    """Stacked bars of what passes until the first answer: import, load, first answer."""
    found = [_first(file) for file in report.files]
    parts = {
        "import": [s.import_ms for s in found],
        "load": [s.load_ms for s in found],
        "first answer": [s.first_answer_ms for s in found],
    }
    caption = (
        "Cold start: from a fresh Python process to the first answer, medians. Import is the runtime's "
        "modules, load is LiteRT's library, reading and checking the file, and preparing its graph."
    )
    return _bars(report, caption, "Cold start until the first answer", parts, "milliseconds")


def memory(report: Report) -> Figure:
    """Stacked bars of resident memory: before the file, added by loading it, added by answering."""
    found = [_first(file) for file in report.files]
    parts = {
        "before": [s.rss_before_mb for s in found],
        "loading": [max(0.0, s.rss_loaded_mb - s.rss_before_mb) for s in found],
        "answering": [max(0.0, s.rss_peak_mb - max(s.rss_loaded_mb, s.rss_before_mb)) for s in found],
    }
    caption = "Resident memory up to its peak, one picture a call. Before is Python with NumPy alone."
    return _bars(report, caption, "Peak memory", parts, "MiB")


def pareto(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points (cost, gain) that no other one beats in both, by rising cost."""
    front: list[Point] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or gain > front[-1][1]:
            front.append((cost, gain))
    return tuple(front)


def _box_style(theme: Theme) -> dict[str, Any]:
    # A dictionary each: matplotlib adds to the one it is given.
    lines = {part: {"color": theme.ink} for part in ("boxprops", "medianprops", "whiskerprops", "capprops")}
    points = {"marker": ".", "markersize": 2, "markeredgecolor": theme.ink, "alpha": 0.4}
    return {**lines, "flierprops": points, "widths": 0.6}


def _bars(report: Report, caption: str, what: str, parts: dict[str, list[float]], unit: str) -> Figure:
    names = [_wrapped(file) for file in report.files]
    totals = ", ".join(
        f"{file.name} {sum(values):.0f} {unit}" for file, *values in zip(report.files, *parts.values(), strict=True)
    )
    where = tables.threads(report.threads[0])
    return figure(
        f"{caption} With {where}.",
        f"Stacked bars. {what}: {totals}.",
        1.1 + 0.5 * len(names),
        lambda axes, theme: stacked_bars(axes, theme, names, parts, unit),
    )


def _first(file: FileReport) -> Summary:
    """The figures with the fewest threads, which every machine can have."""
    return Summary.of(min(file.measurements, key=lambda m: m.threads))


def _median(summary: Summary) -> str:
    return tables.ms(summary.latency.p50_ms)


def _wrapped(file: FileReport) -> str:
    return "\n".join(textwrap.wrap(file.name.removesuffix(".tflite"), 20, max_lines=2))
