"""The one accuracy: correct answers, agreement with a reference, ties, and how honest the probabilities are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]
Answers = NDArray[np.int64]
ECE_BINS = 15


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Correct answers out of all answers. Parts add up: `Accuracy(3, 4) + Accuracy(1, 6)`."""

    correct: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.total:
            raise ValueError(f"Expected 0 <= correct <= total, got {self.correct} of {self.total}.")

    def __add__(self, other: Accuracy) -> Accuracy:
        return Accuracy(self.correct + other.correct, self.total + other.total)

    @property
    def share(self) -> float:
        """Correct over total, 0 to 1; not a number for no answers."""
        return self.correct / self.total if self.total else math.nan

    def interval(self, z: float = 1.959964) -> tuple[float, float]:
        """Wilson's score interval for the share (Wilson 1927), 95 % unless another `z` is given."""
        if not self.total:
            return 0.0, 1.0
        n, p = self.total, self.share
        center = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, center - half), min(1.0, center + half)


def top_k(probabilities: Probabilities, classes: Answers, k: int) -> Accuracy:
    """How often the true class is among the k most probable ones, as `right` says."""
    return Accuracy(int(right(probabilities, classes, k).sum()), len(classes))


def right(probabilities: Probabilities, classes: Answers, k: int = 1) -> NDArray[np.bool_]:
    """For each image, of shape (images,): whether the true class is among the k most probable ones.

    `probabilities` has shape (images, classes), `classes` shape (images,). Among equal probabilities the
    lower class index wins, as in `argmax`, so that top-1 here is what a plain client sees. An answer that
    is not a number is never a correct one.
    """
    if probabilities.shape[:1] != classes.shape:
        raise ValueError(f"Expected one class an image, got {classes.shape} for {probabilities.shape}.")
    own = np.take_along_axis(probabilities, classes[:, np.newaxis], axis=1)
    earlier = np.arange(probabilities.shape[1]) < classes[:, np.newaxis]
    rank = (probabilities > own).sum(axis=1) + ((probabilities == own) & earlier).sum(axis=1)
    # Nothing is larger than NaN, so that without this a broken model would be right every time.
    return np.asarray((rank < k) & ~np.isnan(probabilities).any(axis=1))


def same_answers(probabilities: Probabilities, reference: Probabilities) -> Accuracy:
    """How often two sets of outputs, both of shape (images, classes), have the same most probable class.

    Outputs that are not numbers are the same as nothing.
    """
    if probabilities.shape != reference.shape:
        raise ValueError(f"Expected the same shape, got {probabilities.shape} and {reference.shape}.")
    same = probabilities.argmax(axis=1) == reference.argmax(axis=1)
    same &= ~np.isnan(probabilities).any(axis=1) & ~np.isnan(reference).any(axis=1)
    return Accuracy(int(same.sum()), len(same))


def ties(probabilities: Probabilities) -> int:
    """On how many images two or more classes share the first place (integer outputs have few steps)."""
    best = probabilities.max(axis=1, keepdims=True)
    return int(((probabilities == best).sum(axis=1) > 1).sum())


def top1_with_ties(outputs: Probabilities, classes: Answers) -> tuple[float, float, float]:
    """Top-1 when ties for the first place count as wrong, as one chance among them, and as right."""
    first = outputs == outputs.max(axis=1, keepdims=True)
    among = first[np.arange(len(classes)), classes]
    tied = np.maximum(first.sum(axis=1), 1)  # what is not a number equals nothing, itself included
    return float((among & (tied == 1)).mean()), float((among / tied).mean()), float(among.mean())


def calibration_error(outputs: Probabilities, classes: Answers) -> float:
    """Expected calibration error over 15 equal bins of confidence (Guo et al. 2017), 0 to 1.

    Outputs that are not numbers count as a wrong answer without any confidence.
    """
    confidence = np.nan_to_num(outputs.max(axis=1).astype(np.float64))
    bins = np.clip((confidence * ECE_BINS).astype(np.int64), 0, ECE_BINS - 1)
    gaps = np.bincount(bins, weights=right(outputs, classes) - confidence, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(classes))
