"""Two sets of answers to the same pictures: is the difference real, how large may it be, and where does it lie?"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri

from edgeproof.runtime.accuracy import Answers, Probabilities, calibration_error, right, top1_with_ties


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
    after, before = right(target, classes), right(reference, classes)
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    strict, expected, optimistic = top1_with_ties(target, classes)
    return Paired(
        lost=lost,
        gained=gained,
        drop_interval_points=drop_interval(lost, gained, len(classes)),
        p_value=mcnemar_exact(lost, gained),
        resolvable_points=resolvable_drop(lost + gained, len(classes)),
        mean_kl=mean_kl(reference, target),
        largest_probability_difference=float(np.nan_to_num(np.abs(target - reference), nan=1.0).max()),
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
    z = float(ndtri((1 + confidence) / 2))
    down, up = (lost + 1) / (images + 2), (gained + 1) / (images + 2)
    half = z * math.sqrt(max(0.0, down + up - (down - up) ** 2) / (images + 2))
    return 100 * max(-1.0, down - up - half), 100 * min(1.0, down - up + half)


def mcnemar_exact(lost: int, gained: int) -> float:
    """McNemar's exact two-sided p-value (1947): flips fall either way like a fair coin's sides."""
    return float(mcnemar_many(np.array([lost]), np.array([gained]))[0])


def mcnemar_many(lost: NDArray[np.int64], gained: NDArray[np.int64]) -> NDArray[np.float64]:
    """`mcnemar_exact` of many pairs of counts, of shape (tests,): twice the smaller tail, at most 1."""
    return np.asarray(np.minimum(1.0, 2 * bdtr(np.minimum(lost, gained), lost + gained, 0.5)), np.float64)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values adjusted for as many tests as there are, so that any of them errs with the stated chance at most.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    found = np.empty(len(p_values), np.float64)
    found[order] = np.minimum(1.0, adjusted)
    return found


def resolvable_drop(flips: int, images: int, *, power: float = 0.8, significance: float = 0.05) -> float:
    """The smallest drop, in points, found with this power when this many answers flip; one flip is taken at least."""
    reach = float(ndtri(1 - significance / 2) + ndtri(power))
    return 100 * min(1.0, reach * math.sqrt(max(1, flips)) / images)


def mean_kl(reference: Probabilities, target: Probabilities) -> float:
    """Mean Kullback–Leibler divergence of the target from the reference, in nats; zeros count as 1e-7."""
    p, q = (_normal(outputs) for outputs in (reference, target))
    return float((p * np.log(p / q)).sum(axis=1).mean())


def _normal(outputs: Probabilities) -> NDArray[np.float64]:
    floored = np.clip(np.nan_to_num(outputs.astype(np.float64)), 1e-7, None)
    return np.asarray(floored / floored.sum(axis=1, keepdims=True), np.float64)
