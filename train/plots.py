"""Pictures for people: learning curves, confusion matrix, and samples with their answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.atomic import replacing
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train.history import Epoch

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
# Up to so many classes every class name is written beside the confusion matrix, and up to so many every count.
NAMED, COUNTED = 40, 15


def learning_curves(history: Sequence[Epoch], path: Path) -> None:
    """Draw loss and top-1 of both phases on one time line."""
    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    epochs = [epoch.epoch for epoch in history]
    name_of_watched = history[-1].watched if history else "test"
    curves = (("loss", "Loss (cross-entropy)", 1.0), ("top1", "Top-1 accuracy, %", 100.0))
    for axis, (name, title, factor) in zip(axes, curves, strict=True):
        watched = [factor * getattr(e, f"watched_{name}") for e in history]
        axis.plot(epochs, [factor * getattr(e, name) for e in history], "o-", color=BLUE, label="training")
        axis.plot(epochs, watched, "s--", color=ORANGE, label=name_of_watched)
        _mark_phases(axis, history)
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    _save(figure, path)


def confusion_matrix(matrix: NDArray[np.int64], labels: Sequence[str], path: Path) -> None:
    """Draw shares of each true class; with many classes the names give way to every fifth one's."""
    count = len(labels)
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    side = float(np.clip(count * 0.3, 5, 13))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axis = figure.subplots()
    every = 1 if count <= NAMED else 5
    sns.heatmap(
        shares * 100,
        ax=axis,
        cmap="viridis",
        vmin=0,
        vmax=100,
        square=True,
        annot=matrix if count <= COUNTED else False,
        fmt="d",
        cbar_kws={"label": "% of the true class", "shrink": 0.7},
        xticklabels=False,
        yticklabels=False,
    )
    places = np.arange(0, count, every)
    names = labels[::every]
    axis.set_xticks(places + 0.5, names, rotation=90, fontsize=9, parse_math=False)
    axis.set_yticks(places + 0.5, names, rotation=0, fontsize=9, parse_math=False)
    axis.set(xlabel="answer", ylabel="true class", title="Confusion matrix, test set")
    _save(figure, path)


def samples(pictures: LabelledPictures, probabilities: Probabilities, path: Path, *, title: str) -> None:
    """Draw up to 24 pictures with the answer, its probability, and the true class where it is wrong."""
    columns = 6
    shown = min(24, len(pictures))
    rows = -(-shown // columns)
    figure = Figure(figsize=(columns * 1.4, rows * 1.75 + 0.4), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis in axes:
        axis.set_axis_off()
    answers = probabilities.argmax(axis=1)
    for axis, picture, true, answer, row in zip(
        axes[:shown], pictures.stored, pictures.classes, answers, probabilities, strict=False
    ):
        right = true == answer
        words = f"{'✓' if right else '✗'} {pictures.labels[answer]} {row[answer]:.0%}"
        axis.imshow(picture)
        axis.set_title(
            words if right else f"{words}\n({pictures.labels[true]})",
            color=GREEN if right else ORANGE,
            fontsize=9,
            parse_math=False,  # a label may hold dollar signs
        )
    figure.suptitle(title, parse_math=False)
    _save(figure, path)


def _mark_phases(axis: Axes, history: Sequence[Epoch]) -> None:
    head = sum(epoch.phase == "head" for epoch in history)
    if 0 < head < len(history):
        axis.axvline(head + 0.5, color="grey", linestyle=":")
        axis.text(
            head + 0.4,
            0.5,
            "head",
            ha="right",
            va="center",
            color="grey",
            transform=axis.get_xaxis_transform(),
        )
        axis.text(head + 0.6, 0.5, "fine-tuning", va="center", color="grey", transform=axis.get_xaxis_transform())


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
