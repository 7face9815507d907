"""Two sets of answers to the same pictures: is the difference real, how large may it be, and where does it lie?"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from edgeproof.runtime.accuracy import Answers, Probabilities

ECE_BINS = 15


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """A target's outputs against a reference's, picture by picture. Shares are 0 to 1, points are percent points.

    `lost` pictures only the reference got right, `gained` only the target. The interval holds the true drop with
    95 %; `p_value` is McNemar's exact one for no drop and no gain; `resolvable_points` is the smallest drop that
    this many pictures with this many flips would show with a power of 80 %.
    """

    lost: int
    gained: int
    drop_interval_points: tuple[float, float]
    p_value: float
    resolvable_points: float
    mean_kl: float
    largest_probability_difference: float
    strict_top1: float
    expected_top1: float
    optimistic_top1: float
    classes_never_answered: int
    reference_ece: float
    target_ece: float


def compare(target: Probabilities, reference: Probabilities, classes: Answers) -> Paired:
    """Compare outputs of shape (images, classes) with the true classes of shape (images,)."""
    if target.shape != reference.shape or target.shape[:1] != classes.shape or not len(classes):
        raise ValueError(f"Expected outputs of one shape, got {target.shape}, {reference.shape}, {classes.shape}.")
    right, before = target.argmax(axis=1) == classes, reference.argmax(axis=1) == classes
    lost, gained = int((before & ~right).sum()), int((right & ~before).sum())
    strict, expected, optimistic = top1_with_ties(target, classes)
    return Paired(
        lost=lost,
        gained=gained,
        drop_interval_points=drop_interval(lost, gained, len(classes)),
        p_value=mcnemar_exact(lost, gained),
        resolvable_points=resolvable_drop(lost + gained, len(classes)),
        mean_kl=mean_kl(reference, target),
        largest_probability_difference=float(np.abs(target - reference).max()),
        strict_top1=strict,
        expected_top1=expected,
        optimistic_top1=optimistic,
        classes_never_answered=target.shape[1] - len(np.unique(target.argmax(axis=1))),
        reference_ece=calibration_error(reference, classes),
        target_ece=calibration_error(target, classes),
    )


def drop_interval(lost: int, gained: int, images: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of the drop, in points: Wald's with one picture added to each kind of flip.

    Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data", Journal of Educational and Behavioral Statistics 37 (2012).
    """
    z = float(norm.ppf((1 + confidence) / 2))
    down, up = (lost + 1) / (images + 2), (gained + 1) / (images + 2)
    half = z * math.sqrt(max(0.0, down + up - (down - up) ** 2) / (images + 2))
    return 100 * max(-1.0, down - up - half), 100 * min(1.0, down - up + half)


def mcnemar_exact(lost: int, gained: int) -> float:
    """McNemar's exact two-sided p-value (1947): flips fall either way like a fair coin's sides."""
    return float(binomtest(lost, lost + gained, 0.5).pvalue) if lost + gained else 1.0


def resolvable_drop(flips: int, images: int, *, power: float = 0.8, significance: float = 0.05) -> float:
    """The smallest drop, in points, found with this power when this many answers flip; one flip is taken at least."""
    reach = float(norm.ppf(1 - significance / 2) + norm.ppf(power))
    return 100 * min(1.0, reach * math.sqrt(max(1, flips)) / images)


def mean_kl(reference: Probabilities, target: Probabilities) -> float:
    """Mean Kullback–Leibler divergence of the target from the reference, in nats; zeros count as 1e-7."""
    p, q = (_normal(outputs) for outputs in (reference, target))
    return float((p * np.log(p / q)).sum(axis=1).mean())


def top1_with_ties(outputs: Probabilities, classes: Answers) -> tuple[float, float, float]:
    """Top-1 when ties for the first place count as wrong, as one chance among them, and as right."""
    first = outputs == outputs.max(axis=1, keepdims=True)
    among = first[np.arange(len(classes)), classes]
    tied = first.sum(axis=1)
    return float((among & (tied == 1)).mean()), float((among / tied).mean()), float(among.mean())


def calibration_error(outputs: Probabilities, classes: Answers) -> float:
    """Expected calibration error over 15 equal bins of confidence (Guo et al. 2017), 0 to 1."""
    confidence = outputs.max(axis=1).astype(np.float64)
    right = (outputs.argmax(axis=1) == classes).astype(np.float64)
    bins = np.clip((confidence * ECE_BINS).astype(np.int64), 0, ECE_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(classes))


def _normal(outputs: Probabilities) -> NDArray[np.float64]:
    floored = np.clip(outputs.astype(np.float64), 1e-7, None)
    return np.asarray(floored / floored.sum(axis=1, keepdims=True), np.float64)
