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
_SHRINKS = np.linspace(0.7, 1.0, 11)


@dataclass(frozen=True, slots=True)
class Rounded:
    """Weights as integers -127 … 127 of the shape they came in; a scale and a (real) bias for each output channel."""

    integers: Floats
    scale: Floats
    bias: Floats

    def real(self, *, depthwise: bool) -> Floats:
        """The weights that the integers stand for; outputs are the first axis, or the last of depthwise filters."""
        scale = self.scale if depthwise else self.scale.reshape(-1, *[1] * (self.integers.ndim - 1))
        found: Floats = self.integers * scale
        return found


@dataclass(frozen=True, slots=True)
class Rows:
    """What a layer saw: inputs (rows, d), and its float targets before the activation, (rows, outputs); float32."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]


def dense(seen: Rows, weights: Floats, *, by_error: bool = True) -> Rounded:
    """Round weights of shape (outputs, d), and choose the bias that leaves no mean error.

    Without `by_error` each weight goes to its nearest integer.
    """
    mean_in, mean_out = seen.inputs.mean(axis=0, dtype=np.float64), seen.targets.mean(axis=0, dtype=np.float64)
    if by_error:
        centred = seen.inputs - mean_in.astype(np.float32)
        covariance = (centred.T @ centred).astype(np.float64) / len(centred)
        damped = covariance + _DAMPING * max(float(np.mean(np.diag(covariance))), 1e-12) * np.eye(len(covariance))
        scale = _scales(weights, damped)
        integers = _in_turn(weights, damped, scale)
    else:
        scale = largest(weights)
        integers = _nearest(weights, scale)
    return Rounded(integers, scale, mean_out - (integers * scale[:, np.newaxis]) @ mean_in)


def depthwise(
    seen: Rows, weights: Floats, *, bounds: tuple[float, float] = (-np.inf, np.inf), by_error: bool = True
) -> Rounded:
    """Round filters of shape (channels, k), for inputs of shape (channels, rows, k) and targets (channels, rows).

    The activation cuts its results at `bounds`: rows far beyond them count for nothing.
    """
    matters = _within(seen.targets, bounds)
    count = matters.sum(axis=1, dtype=np.float64)
    mean_in = np.einsum("crk,cr->ck", seen.inputs, matters) / count[:, np.newaxis]
    mean_out = (seen.targets * matters).sum(axis=1, dtype=np.float64) / count
    if by_error:
        centred = (seen.inputs - mean_in[:, np.newaxis].astype(np.float32)) * matters[:, :, np.newaxis]
        covariance = np.matmul(centred.transpose(0, 2, 1), centred) / count[:, np.newaxis, np.newaxis]
        trace = np.trace(covariance, axis1=1, axis2=2) / weights.shape[1]
        damped = covariance + (_DAMPING * trace + 1e-9)[:, np.newaxis, np.newaxis] * np.eye(weights.shape[1])
        integers, scale = _exhaustive(weights, damped)
    else:
        scale = largest(weights)
        integers = _nearest(weights, scale)
    return Rounded(integers, scale, mean_out - (integers * scale[:, np.newaxis] * mean_in).sum(axis=1))


def largest(weights: Floats) -> Floats:
    """The scale of each output channel that its largest weight needs; of shape (outputs,)."""
    found: Floats = np.maximum(np.abs(weights).max(axis=1), 1e-12) / LIMIT
    return found


def _nearest(weights: Floats, scale: Floats) -> Floats:
    return np.clip(np.rint(weights / scale[:, np.newaxis]), -LIMIT, LIMIT)


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
    for shrink in _SHRINKS[::2]:
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


def _within(targets: NDArray[np.float32], bounds: tuple[float, float]) -> NDArray[np.float32]:
    """1 for the rows whose result the activation lets through, with a margin; all where too few are left."""
    margin = 0.25 * targets.std(axis=1, keepdims=True) + 0.1
    matters: NDArray[np.float32] = ((targets > bounds[0] - margin) & (targets < bounds[1] + margin)).astype(np.float32)
    matters[matters.sum(axis=1) < 50] = 1.0
    return matters
