"""Confusion matrices, what quantisation changes in them, and the classes that come off worst."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeproof.benchmarks.drawing import Theme, figure
from edgeproof.benchmarks.quality import Quality
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Figure, Table
from edgeproof.benchmarks.tables import NONE
from edgeproof.runtime.accuracy import Accuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

# More names than this would run into each other.
MOST_NAMES = 20
# More cells than this have no room for a number.
MOST_COUNTED = 12
MISTAKES_TOLD = 3
CLASSES_TOLD = 5
HEIGHT_IN = 4.5

Counts = NDArray[np.float64]
Show = Callable[["Axes", Theme], "AxesImage"]
Mistakes = tuple[tuple[str, str, int], ...]


def matrices(report: Report) -> tuple[Figure, ...]:
    """The matrix of every judged file, and after it how it differs from that of the float32 file, if one is there."""
    first = float_file(report)
    made: list[Figure] = []
    for file in report.files:
        if file.quality is None:
            continue
        made.append(confusion(file))
        if first is not None and file is not first and file.labels == first.labels:
            made.append(change(first, file))
    return tuple(made)


def float_file(report: Report) -> FileReport | None:
    """The first judged float32 file, which the others are held against; None where there is none."""
    return next((file for file in report.files if file.recipe == "float32" and file.quality is not None), None)


def confusion(file: FileReport) -> Figure:
    """Shares of each true class by answer, for a file whose `quality` was measured (else `ValueError`)."""
    shares = _shares(_counts(file))

    def show(axes: Axes, theme: Theme) -> AxesImage:
        return axes.imshow(shares, vmin=0, vmax=1, cmap=theme.shares, interpolation="nearest")

    found = _told(mistakes(file.labels, _judged(file)))
    caption = f"Confusion matrix of {file.name}. Most frequent mistakes: {found or 'none'}."
    right = float(np.trace(_counts(file)) / _counts(file).sum())
    alt = f"Matrix of {len(file.labels)} classes; {right:.1%} of the pictures lie on the diagonal of right answers. "
    return _drawn(caption, alt + found, file.labels, "share of the true class", show, _counts(file))


def change(before: FileReport, after: FileReport) -> Figure:
    """What the shares of `after` have more or less than those of `before`, for the same pictures and labels."""
    difference = 100 * (_shares(_counts(after)) - _shares(_counts(before)))
    most = float(np.abs(difference).max()) or 1.0

    def show(axes: Axes, theme: Theme) -> AxesImage:
        from matplotlib.colors import LinearSegmentedColormap

        less, more = theme.changes
        colours = LinearSegmentedColormap.from_list("changes", [less, theme.ground, more])
        return axes.imshow(difference, vmin=-most, vmax=most, cmap=colours, interpolation="nearest")

    moved = _counts(after) - _counts(before)
    grown = _told(_largest(before.labels, moved - np.diag(np.diag(moved))))
    lost = int(np.trace(_counts(before)) - np.trace(_counts(after)))
    noun = "right answer" if abs(lost) == 1 else "right answers"
    balance = f"{abs(lost)} {noun} {'fewer' if lost > 0 else 'more'} in all" if lost else "as many right answers"
    caption = (
        f"What {after.name} answers otherwise than {before.name}: {balance}. "
        f"Mistakes that grew most: {grown or 'none'}."
    )
    alt = f"Matrix of differences between -{most:.0f} and +{most:.0f} points. {balance}; mistakes that grew: {grown}"
    return _drawn(caption, alt, before.labels, "change in points of the true class", show, moved)


def mistakes(labels: tuple[str, ...], quality: Quality) -> Mistakes:
    """The three most frequent mistakes as (true class, answer, count); fewer where fewer were made."""
    counts = np.array(quality.confusion)
    np.fill_diagonal(counts, 0)
    return _largest(labels, counts)


def worst(file: FileReport, count: int = CLASSES_TOLD) -> tuple[int, ...]:
    """The classes with the smallest shares of right answers, the worst first, without those that are all right."""
    counts = _counts(file)
    shares = np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
    wrong = [int(i) for i in np.argsort(shares, kind="stable") if counts[i].sum() and shares[i] < 1]
    return tuple(wrong[:count])


def worst_table(report: Report) -> Table:
    """The five worst classes of every judged file, with Wilson's interval and what they are taken for most."""
    rows = tuple(_row(file, index) for file in report.files if file.quality is not None for index in worst(file))
    return Table(
        "The classes with the smallest share of right answers, five a file, with the 95 % interval: of few pictures "
        "it is wide, and the worst of many classes is partly chance.",
        ("File", "True class", "Pictures", "Right [95 %]", "Taken most for"),
        rows,
    )


def _row(file: FileReport, index: int) -> tuple[str, ...]:
    counts = _counts(file)[index]
    right = Accuracy(int(counts[index]), int(counts.sum()))
    low, high = right.interval()
    others = np.where(np.arange(len(counts)) == index, 0, counts)
    most = int(others.argmax())
    taken = f"{file.labels[most]}, {int(others[most])}×" if others[most] else NONE
    share = f"{right.share * 100:.0f} % [{low * 100:.0f}–{high * 100:.0f}]"
    return file.name, file.labels[index], str(right.total), share, taken


def _drawn(caption: str, alt: str, labels: tuple[str, ...], meaning: str, show: Show, counts: Counts) -> Figure:
    def draw(axes: Axes, theme: Theme) -> None:
        image = show(axes, theme)
        few = len(labels) <= MOST_NAMES
        places = range(len(labels)) if few else range(0, len(labels), 10)
        names = [labels[i] if few else f"{i} {labels[i]}" for i in places]
        # Only names need to be turned; digits stand side by side.
        turn = 45 if few and max(map(len, labels)) > 2 else 0
        axes.set_xticks(places, names if few else [str(i) for i in places], rotation=turn)
        axes.set_yticks(places, names)
        axes.set_xlabel("answer" if few else "answer (number of the class)")
        axes.set_ylabel("true class")
        bar = axes.figure.colorbar(image, ax=axes, location="top", shrink=0.9, aspect=30)
        bar.set_label(meaning)
        if len(labels) <= MOST_COUNTED:
            _write(axes, image, counts)

    return figure(caption, alt, HEIGHT_IN, draw)


def _write(axes: Axes, image: AxesImage, counts: Counts) -> None:
    """Write the pictures into the cells, dark on bright colours and bright on dark ones."""
    for row, column in zip(*np.nonzero(counts), strict=True):
        red, green, blue, _ = image.to_rgba(image.get_array())[row, column]  # type: ignore[arg-type]  # None only before any data is set
        ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=ink, fontsize=8)


def _judged(file: FileReport) -> Quality:
    if file.quality is None:
        raise ValueError(f"Expected a file with quality, got {file.name}.")
    return file.quality


def _counts(file: FileReport) -> Counts:
    return np.asarray(_judged(file).confusion, np.float64)


def _shares(counts: Counts) -> Counts:
    shares: Counts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def _largest(labels: tuple[str, ...], counts: NDArray[np.generic]) -> Mistakes:
    values = np.asarray(counts, np.int64)
    order = np.argsort(-values, axis=None, kind="stable")[:MISTAKES_TOLD]
    places = zip(*np.unravel_index(order, values.shape), strict=True)
    return tuple((labels[i], labels[j], int(values[i, j])) for i, j in places if values[i, j] > 0)


def _told(found: Mistakes) -> str:
    return "; ".join(f"{true} taken for {answer} {n}×" for true, answer, n in found)
