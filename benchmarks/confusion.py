"""The plot of a confusion matrix that is legible with two classes and with a hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeproof.benchmarks.drawing import Theme, figure
from edgeproof.benchmarks.quality import Quality
from edgeproof.benchmarks.report import FileReport
from edgeproof.benchmarks.sections import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More names than this would run into each other.
MOST_NAMES = 20
MISTAKES_TOLD = 3


def confusion(file: FileReport) -> Figure:
    """Shares of each true class by answer, for a file whose `quality` was measured (else `ValueError`)."""
    if file.quality is None:
        raise ValueError(f"Expected a file with quality, got {file.name}.")
    counts = np.asarray(file.quality.confusion, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def draw(axes: Axes, theme: Theme) -> None:
        image = axes.imshow(shares, vmin=0, vmax=1, cmap=theme.shares, interpolation="nearest")
        few = len(file.labels) <= MOST_NAMES
        places = range(len(file.labels)) if few else range(0, len(file.labels), 10)
        names = [file.labels[i] if few else f"{i} {file.labels[i]}" for i in places]
        axes.set_xticks(places, names if few else [str(i) for i in places], rotation=45 if few else 0)
        axes.set_yticks(places, names)
        axes.set_xlabel("answer" if few else "answer (number of the class)")
        axes.set_ylabel("true class")
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.8)
        bar.set_label("share of the true class")

    told = "; ".join(f"{true} taken for {answer} {n}×" for true, answer, n in mistakes(file.labels, file.quality))
    caption = f"Confusion matrix of {file.name}. Most frequent mistakes: {told or 'none'}."
    alt = f"Matrix of {len(file.labels)} classes; the diagonal holds the right answers. {told}"
    return figure(caption, alt, 4.3, draw)


def mistakes(labels: tuple[str, ...], quality: Quality) -> tuple[tuple[str, str, int], ...]:
    """The three most frequent mistakes as (true class, answer, count); fewer where fewer were made."""
    counts = np.array(quality.confusion)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:MISTAKES_TOLD]
    places = zip(*np.unravel_index(order, counts.shape), strict=True)
    return tuple((labels[i], labels[j], int(counts[i, j])) for i, j in places if counts[i, j])
