"""Which way to round weights: by the error of the layer's output on calibration pictures, not by each weight's own.

A layer's output error is a quadratic form in its weights' errors, with the covariance of its inputs in the middle
(Nagel et al. 2020, "Up or down? Adaptive rounding for post-training quantization"). Depthwise filters of up to nine
weights are solved exactly, channel by channel; larger layers one weight at a time, each error made good by the weights
that are still free (Frantar et al. 2022, "GPTQ", after Hassibi and Stork 1993, "Optimal brain surgeon").
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LIMIT = 127
# All 2^9 ways to round a 3x3 filter are tried; a 5x5 filter has too many.
EXHAUSTIVE = 9
_DAMPING = 1e-2
_BLOCK = 64
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_SHRINKS = np.linspace(0.7, 1.0, 21)


@dataclass(frozen=True, slots=True)
class Rounded:
    """Weights as integers -127 … 127 of the shape they came in; a scale and a (real) bias for each output channel."""

    integers: Floats
    scale: Floats
    bias: Floats

    def real(self, *, depthwise: bool) -> Floats:
        """The weights that the integers stand for; outputs are the first axis, or the last of depthwise filters."""
        scale = self.scale if depthwise else self.scale.reshape(-1, *[1] * (self.integers.ndim - 1))
        return self.integers * scale


@dataclass(frozen=True, slots=True)
class How:
    """Which parts of the method to use: rounding by output error, and first a refit to the quantised inputs."""

    by_error: bool = True
    refit: bool = True


@dataclass(frozen=True, slots=True)
class Rows:
    """What a dense layer saw: inputs (rows, d), and its float targets before the activation, (rows, outputs)."""

    inputs: Floats
    targets: Floats


def dense(
    seen: Rows, weights: Floats, how: How, penalties: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
) -> Rounded:
    """Round weights of shape (outputs, d), and choose the bias that leaves no mean error.

    `penalties` are tried as strengths of the ridge that keeps refitted weights near the given ones; the one that does
    best on rows it was not fitted to is taken, or none.
    """
    mean_in, mean_out = seen.inputs.mean(axis=0), seen.targets.mean(axis=0)
    centred = seen.inputs - mean_in
    covariance = centred.T @ centred / len(centred)
    fitted = weights
    if how.refit:
        fitted = weights + _refit(centred, seen.targets - mean_out - centred @ weights.T, covariance)
    damped = covariance + _DAMPING * max(float(np.mean(np.diag(covariance))), 1e-12) * np.eye(len(covariance))
    if how.by_error:
        scale = _scales(fitted, damped)
        integers = _in_turn(fitted, damped, scale)
    else:
        scale = largest(fitted)
        integers = _nearest(fitted, scale)
    return Rounded(integers, scale, mean_out - (integers * scale[:, np.newaxis]) @ mean_in)


def depthwise(
    patches: Floats, targets: Floats, weights: Floats, how: How, *, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Rounded:
    """Round filters of shape (channels, k), for patches (channels, rows, k) and float targets (channels, rows).

    The activation cuts its results at `bounds`: rows far beyond them count for nothing.
    """
    matters = _within(targets, bounds)
    count = matters.sum(axis=1)
    mean_in = np.einsum("crk,cr->ck", patches, matters) / count[:, np.newaxis]
    mean_out = (targets * matters).sum(axis=1) / count
    centred = (patches - mean_in[:, np.newaxis]) * matters[:, :, np.newaxis]
    covariance = np.matmul(centred.transpose(0, 2, 1), centred) / count[:, np.newaxis, np.newaxis]
    trace = np.trace(covariance, axis1=1, axis2=2) / weights.shape[1]
    damped = covariance + (_DAMPING * trace + 1e-9)[:, np.newaxis, np.newaxis] * np.eye(weights.shape[1])
    fitted = weights
    if how.refit:
        cross = np.einsum("crk,cr->ck", centred, targets - mean_out[:, np.newaxis]) / count[:, np.newaxis]
        wanted = cross + (_DAMPING * trace + 1e-9)[:, np.newaxis] * weights
        solved = np.linalg.solve(damped, wanted[:, :, np.newaxis])[:, :, 0]
        # Where the input never changes there is nothing to fit.
        fitted = np.where((trace < 1e-9)[:, np.newaxis], weights, solved)
    if not how.by_error:
        scale = largest(fitted)
        integers = _nearest(fitted, scale)
    else:
        integers, scale = _exhaustive(fitted, damped)
    return Rounded(integers, scale, mean_out - (integers * scale[:, np.newaxis] * mean_in).sum(axis=1))


def largest(weights: Floats) -> Floats:
    """The scale of each output channel that its largest weight needs; of shape (outputs,)."""
    return np.maximum(np.abs(weights).max(axis=1), 1e-12) / LIMIT


def _nearest(weights: Floats, scale: Floats) -> Floats:
    return np.clip(np.rint(weights / scale[:, np.newaxis]), -LIMIT, LIMIT)


def _refit(centred: Floats, missing: Floats, covariance: Floats) -> Floats:
    """The change of weights, (outputs, d), that makes good what the quantised inputs lack.

    The ridge that keeps them near the given ones has the strength that does best on rows it was not fitted to.
    """
    fifth = len(centred) // 5
    kept, fitted = slice(0, fifth), slice(fifth, None)
    size = max(float(np.mean(np.diag(covariance))), 1e-12)
    part = centred[fitted].T @ centred[fitted] / max(len(centred) - fifth, 1)
    cross = centred[fitted].T @ missing[fitted] / max(len(centred) - fifth, 1)
    best, least = 0.0, float(np.mean(missing[kept] ** 2)) if fifth else 0.0
    for penalty in _PENALTIES if fifth else ():
        change = np.linalg.solve(part + penalty * size * np.eye(len(part)), cross)
        error = float(np.mean((missing[kept] - centred[kept] @ change) ** 2))
        if error < least:
            best, least = penalty, error
    if best == 0.0:
        return np.zeros((missing.shape[1], len(covariance)))
    whole = centred.T @ missing / len(centred)
    found: Floats = np.linalg.solve(covariance + best * size * np.eye(len(covariance)), whole).T
    return found


def _scales(weights: Floats, covariance: Floats) -> Floats:
    """The scale of each output channel for which rounding to nearest errs least in the output."""
    full = largest(weights)
    best, scale = np.full(len(weights), np.inf), full.copy()
    for shrink in _SHRINKS:
        tried = full * shrink
        errors = weights - _nearest(weights, tried) * tried[:, np.newaxis]
        error = ((errors @ covariance) * errors).sum(axis=1)
        better = error < best
        best[better], scale[better] = error[better], tried[better]
    return scale


def _in_turn(weights: Floats, covariance: Floats, scale: Floats) -> Floats:
    """Round one input's weights at a time, the loudest input first; the rest makes good the error."""
    order = np.argsort(-np.diag(covariance), kind="stable")
    inverse = np.linalg.inv(covariance[np.ix_(order, order)])
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T
    left, integers = weights[:, order].copy(), np.empty_like(weights)
    for start in range(0, len(upper), _BLOCK):
        stop = min(start + _BLOCK, len(upper))
        errors = np.empty((len(weights), stop - start))
        for place in range(start, stop):
            integers[:, place] = np.clip(np.rint(left[:, place] / scale), -LIMIT, LIMIT)
            error = (left[:, place] - integers[:, place] * scale) / upper[place, place]
            left[:, place:stop] -= np.outer(error, upper[place, place:stop])
            errors[:, place - start] = error
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    found = np.empty_like(integers)
    found[:, order] = integers
    return found


def _exhaustive(weights: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Integers and scales, channel by channel: all ways to round up or down, for the full scale and smaller ones."""
    channels, size = weights.shape
    if size > EXHAUSTIVE:
        pairs = [(_scales(weights[[c]], covariance[c]), c) for c in range(channels)]
        rows = [_in_turn(weights[[c]], covariance[c], scale)[0] for scale, c in pairs]
        return np.array(rows), np.concatenate([scale for scale, _ in pairs])
    ways = np.array(list(product((0.0, 1.0), repeat=size)))
    best, integers, scale = np.full(channels, np.inf), np.zeros_like(weights), np.zeros(channels)
    for shrink in _SHRINKS:
        tried = largest(weights) * shrink
        candidates = np.clip(np.floor(weights / tried[:, np.newaxis])[:, np.newaxis] + ways, -LIMIT, LIMIT)
        errors = candidates * tried[:, np.newaxis, np.newaxis] - weights[:, np.newaxis]
        error = (np.matmul(errors, covariance) * errors).sum(axis=2)
        choice = error.argmin(axis=1)
        least = error[np.arange(channels), choice]
        better = least < best
        best[better], scale[better] = least[better], tried[better]
        integers[better] = candidates[np.arange(channels), choice][better]
    return integers, scale


def _within(targets: Floats, bounds: tuple[float, float]) -> Floats:
    """1 for the rows whose result the activation lets through, with a margin; all where too few are left."""
    margin = 0.25 * targets.std(axis=1, keepdims=True) + 0.1
    matters = ((targets > bounds[0] - margin) & (targets < bounds[1] + margin)).astype(np.float64)
    matters[matters.sum(axis=1) < 50] = 1.0
    return matters
