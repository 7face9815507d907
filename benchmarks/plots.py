"""A report's plots of speed: latency, what accuracy costs, threads and batches. Needs matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.benchmarks import tables
from edgeproof.benchmarks.drawing import Theme, figure, legend_above, style
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Figure
from edgeproof.benchmarks.statistics import Latency, Summary, throughput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
TICKS = (1.0, 2.0, 5.0)


def latency(report: Report) -> Figure:
    """Boxes of every warm call, one a file and number of threads."""
    runs = [(file, m) for file in report.files for m in file.measurements]
    samples = [np.asarray(m.samples_ns) / 1e6 for _, m in runs]
    names = [f"{wrapped(file)}\n{tables.threads(m.threads)}" for file, m in runs]

    def draw(axes: Axes, theme: Theme) -> None:
        from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

        boxes = axes.boxplot(samples, orientation="horizontal", whis=(1, 99), patch_artist=True, **_box_style(theme))
        for box, (file, _) in zip(boxes["boxes"], runs, strict=True):
            box.set_facecolor(style(theme, report.files.index(file))[0])
        axes.set_yticks(range(1, len(runs) + 1), names, fontsize=9)
        axes.invert_yaxis()
        # A few calls that something held up would flatten all boxes on a linear axis.
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=TICKS))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("milliseconds a picture, logarithmic")
        axes.grid(axis="x", color=theme.faint, linewidth=0.6)

    told = ", ".join(f"{f.name} with {tables.threads(m.threads)} {_spread(Latency.of(m.samples_ns))}" for f, m in runs)
    caption = (
        "Latency of warm calls, one picture a call: the box holds half of them, its line is the median, and the "
        "whiskers go from the 1st to the 99th percentile; points are the calls beyond."
    )
    return figure(caption, f"Box plots of latency. {told}.", 0.8 + 0.62 * len(runs), draw)


def trade_off(report: Report) -> Figure:
    """Accuracy over latency of the judged files; a point's area is the file's size, a line joins the best."""
    judged = [(file, file.quality.top1) for file in report.files if file.quality]
    points = [(first(file).latency.p50_ms, 100 * top1.share) for file, top1 in judged]
    largest = max(file.size_bytes for file, _ in judged)

    def draw(axes: Axes, theme: Theme) -> None:
        for (file, top1), (x, y) in zip(judged, points, strict=True):
            colour, marker = style(theme, report.files.index(file))
            low, high = top1.interval()
            axes.vlines(x, 100 * low, 100 * high, color=colour, linewidth=1.5)
            area = 30 + 370 * file.size_bytes / largest
            axes.scatter(x, y, s=area, color=colour, marker=marker, alpha=0.8, zorder=3)
            axes.scatter([], [], s=50, color=colour, marker=marker, label=_shortened(file, tables.mb(file.size_bytes)))
        axes.plot(*zip(*pareto(points), strict=True), color=theme.ink, linestyle=":", linewidth=1, zorder=1)
        axes.margins(0.2)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"median milliseconds a picture, {tables.threads(report.threads[0])}")
        axes.set_ylabel("top-1 in %, with its 95 % interval")
        axes.grid(color=theme.faint, linewidth=0.6)
        legend_above(axes, columns=1)

    best = set(pareto(points))
    told = "; ".join(
        f"{file.name} {y:.1f} % at {tables.ms(x)} and {tables.mb(file.size_bytes)}"
        f"{'' if (x, y) in best else ', beaten in both accuracy and latency'}"
        for (file, _), (x, y) in zip(judged, points, strict=True)
    )
    caption = (
        "Accuracy, latency and size: up and to the left is better, a larger point is a larger file. The "
        "dotted line joins the files that no other one beats in both."
    )
    return figure(caption, f"Scatter of accuracy over latency: {told}.", 3.2 + 0.2 * len(judged), draw)


def scaling(report: Report) -> Figure | None:
    """How many times as fast more threads are, one picture a call; None where one number of threads was measured."""
    counts = report.threads
    if len(counts) < 2:
        return None
    found = [(file, _gains(file, counts[0])) for file in report.files]

    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot(counts, [n / counts[0] for n in counts], color=theme.ink, linestyle=":", linewidth=1, label="ideal")
        for index, (file, gains) in enumerate(found):
            colour, marker = style(theme, index)
            axes.plot(list(gains), list(gains.values()), color=colour, marker=marker, label=_shortened(file))
        axes.set_xticks(counts)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("threads")
        axes.set_ylabel(f"times as fast as with {tables.threads(counts[0])}")
        axes.grid(color=theme.faint, linewidth=0.6)
        legend_above(axes, columns=1)

    told = "; ".join(
        f"{file.name} {', '.join(f'{gain:.2f} times with {tables.threads(n)}' for n, gain in gains.items() if n > 1)}"
        for file, gains in found
    )
    caption = (
        "What more threads bring, by the median latency of one picture a call. The dotted line is a graph that "
        "divides without loss."
    )
    return figure(caption, f"Lines of speed over threads: {told}.", 2.9 + 0.2 * len(found), draw)


def batches(report: Report) -> Figure | None:
    """Images a second over the size of batches; None where no sizes were swept."""
    runs = [(i, file, m.threads, throughput(m)) for i, file in enumerate(report.files) for m in file.measurements]
    runs = [run for run in runs if len(run[-1]) > 1]
    if not runs:
        return None
    sizes = sorted({size for *_, rates in runs for size in rates})

    def draw(axes: Axes, theme: Theme) -> None:
        for index, file, threads, rates in runs:
            colour, marker = style(theme, index)
            line = "-" if threads == report.threads[0] else "--"
            label = _shortened(file, tables.threads(threads))
            places = [sizes.index(size) for size in rates]
            axes.plot(places, list(rates.values()), line, color=colour, marker=marker, label=label)
        axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("pictures a call")
        axes.set_ylabel("images a second")
        axes.grid(color=theme.faint, linewidth=0.6)
        legend_above(axes, columns=1)

    told = "; ".join(
        f"{file.name} with {tables.threads(threads)} "
        + ", ".join(f"{rate:.0f} in batches of {size}" for size, rate in rates.items())
        for _, file, threads, rates in runs
    )
    caption = "Throughput by the size of batches; broken lines are more threads."
    return figure(caption, f"Lines of images a second: {told}.", 2.9 + 0.2 * len(runs), draw)


def pareto(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points (cost, gain) that no other one beats in both, by rising cost."""
    front: list[Point] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or gain > front[-1][1]:
            front.append((cost, gain))
    return tuple(front)


def first(file: FileReport) -> Summary:
    """The figures with the fewest threads, which every machine can have."""
    return Summary.of(min(file.measurements, key=lambda m: m.threads))


def wrapped(file: FileReport) -> str:
    """A file's name in two short lines, for the side of a plot; of a longer one the end, which tells files apart."""
    lines = textwrap.wrap(file.name.removesuffix(".tflite"), 19)
    return "\n".join(lines if len(lines) <= 2 else [f"…{lines[-2]}", lines[-1]])


def _shortened(file: FileReport, more: str = "") -> str:
    name = file.name.removesuffix(".tflite")
    # The end of a name tells files apart; a legend has room for so much.
    name = name if len(name) <= 36 else f"…{name[-35:]}"
    return f"{name}, {more}" if more else name


def _gains(file: FileReport, fewest: int) -> dict[int, float]:
    medians = {m.threads: Latency.of(m.samples_ns).p50_ms for m in file.measurements}
    return {n: medians[fewest] / median for n, median in sorted(medians.items())} if fewest in medians else {}


def _spread(latency: Latency) -> str:
    return f"median {tables.ms(latency.p50_ms)}, 99th percentile {tables.ms(latency.p99_ms)}"


def _box_style(theme: Theme) -> dict[str, Any]:
    # A dictionary each: matplotlib adds to the one it is given.
    lines = {part: {"color": theme.ink} for part in ("boxprops", "medianprops", "whiskerprops", "capprops")}
    points = {"marker": ".", "markersize": 2, "markeredgecolor": theme.ink, "alpha": 0.4, "rasterized": True}
    return {**lines, "flierprops": points, "widths": 0.6}
