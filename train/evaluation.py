"""What a model is worth on the test set: top-1, top-5, loss, and precision, recall and F1 of every class."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.accuracy import Answers, Probabilities, top_k


class ClassScore(msgspec.Struct, frozen=True):
    """One class on the test set. `support` is its number of pictures; the rest are shares, 0 to 1."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class ConfusedPair(msgspec.Struct, frozen=True):
    """So many pictures of one class were taken for another."""

    true: str
    predicted: str
    count: int


class Metrics(msgspec.Struct, frozen=True):
    """An evaluation. Shares are 0 to 1; the interval is Wilson's at 95 %; the loss is mean cross-entropy in nats."""

    images: int
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    loss: float
    most_confused: tuple[ConfusedPair, ...]
    classes: tuple[ClassScore, ...]


def evaluate(probabilities: Probabilities, classes: Answers, labels: tuple[str, ...]) -> Metrics:
    """Score outputs of shape (images, classes) against true classes of shape (images,)."""
    from sklearn.metrics import log_loss, precision_recall_fscore_support

    numbers = np.arange(len(labels))
    normal = probabilities.astype(np.float64)
    normal = np.clip(normal, 1e-12, None) / np.clip(normal, 1e-12, None).sum(axis=1, keepdims=True)
    scores = precision_recall_fscore_support(classes, probabilities.argmax(axis=1), labels=numbers, zero_division=0.0)
    first = top_k(probabilities, classes, 1)
    return Metrics(
        images=len(classes),
        top1=first.share,
        top1_interval=first.interval(),
        top5=top_k(probabilities, classes, 5).share,
        loss=float(log_loss(classes, normal, labels=numbers)),
        most_confused=most_confused(confusion(probabilities, classes), labels),
        classes=tuple(
            ClassScore(label, float(p), float(r), float(f), int(n))
            for label, p, r, f, n in zip(labels, *scores, strict=True)
        ),
    )


def confusion(probabilities: Probabilities, classes: Answers) -> NDArray[np.int64]:
    """Counts of shape (classes, classes): rows are true classes, columns answers."""
    count = probabilities.shape[1]
    flat = np.bincount(classes * count + probabilities.argmax(axis=1), minlength=count * count)
    return flat.reshape(count, count)


def most_confused(matrix: NDArray[np.int64], labels: tuple[str, ...], *, top: int = 20) -> tuple[ConfusedPair, ...]:
    """The pairs of different classes that are taken for each other most often, worst first."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:top]
    places = [np.unravel_index(place, wrong.shape) for place in order]
    return tuple(ConfusedPair(labels[t], labels[p], int(wrong[t, p])) for t, p in places if wrong[t, p])
