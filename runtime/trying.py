"""Finds what a model wants for pixels: likely ranges and channel orders are tried on labelled pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import progress
from edgeproof.runtime.accuracy import Answers, Probabilities, top_k
from edgeproof.runtime.interpreter import BATCH, Runner
from edgeproof.runtime.pixels import Pixels

# An answer of probability 0 counts as this: one sure mistake must not decide alone.
FLOOR = 1e-4
SURE, LIKELY = 0.999, 0.9


@dataclass(frozen=True, slots=True)
class Feed:
    """What a float input gets for a byte of each channel: byte · scale + shift, in the order RGB or BGR.

    Scales and shifts hold three numbers, in the order of the channels as they are fed.
    """

    name: str
    scales: tuple[float, ...]
    shifts: tuple[float, ...]
    bgr: bool = False

    def values(self, pixels: Pixels, dtype: str) -> NDArray[np.generic]:
        """The input tensor for uint8 pixels of shape (n, height, width, 3). Integers get the bytes as they are."""
        ordered = pixels[..., ::-1] if self.bgr else pixels
        if dtype == "uint8":
            return np.ascontiguousarray(ordered)
        if dtype == "int8":
            return (ordered.astype(np.int16) - 128).astype(np.int8)
        return (ordered * np.array(self.scales, np.float32) + np.array(self.shifts, np.float32)).astype(dtype)

    @property
    def span(self) -> tuple[float, float] | None:
        """What the bytes 0 and 255 become; None where that differs between the channels."""
        if len(set(self.scales)) > 1 or len(set(self.shifts)) > 1:
            return None
        return self.shifts[0], 255 * self.scales[0] + self.shifts[0]


def spanning(low: float, high: float, *, bgr: bool = False) -> Feed:
    """The feed that maps bytes evenly to a range."""
    name = f"{low:g} to {high:g}, {'BGR' if bgr else 'RGB'}"
    return Feed(name, ((high - low) / 255,) * 3, (low,) * 3, bgr)


def normalising(name: str, mean: Sequence[float], std: Sequence[float], *, bgr: bool = False) -> Feed:
    """The feed (byte - mean) / std, one number for all channels or one each."""
    means, stds = (np.broadcast_to(np.asarray(values, np.float64), 3) for values in (mean, std))
    return Feed(name, tuple((1 / stds).tolist()), tuple((-means / stds).tolist()), bgr)


RAW = spanning(0, 255)
BYTES = (Feed("bytes, RGB", (1,) * 3, (0,) * 3), Feed("bytes, BGR", (1,) * 3, (0,) * 3, bgr=True))
# The statistics of ImageNet, as PyTorch's models take them (in the order RGB), and Caffe's means (in the order BGR).
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
FEEDS = (
    *(spanning(low, high, bgr=bgr) for bgr in (False, True) for low, high in ((0, 255), (0, 1), (-1, 1))),
    normalising("ImageNet mean and deviation, RGB", _MEAN, _STD),
    normalising("ImageNet mean and deviation, BGR", _MEAN[::-1], _STD[::-1], bgr=True),
    normalising("Caffe means, BGR", (103.939, 116.779, 123.68), (1.0,), bgr=True),
)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What one feed gave. The log-likelihood is the mean over the pictures, of the true class, natural."""

    feed: str
    top1: float
    log_likelihood: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The feeds, the best first, and how sure the first is: the chance that more pictures would leave it first.

    `input_range` is what to give as --input-range; None where it cannot say it, for BGR or a range for each channel.
    """

    images: int
    trials: tuple[Trial, ...]
    confidence: float
    input_range: tuple[float, float] | None

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        first = self.trials[0]
        if not self.better_than_chance:
            return "None of the ranges fits: no answer is better than a guess."
        how = "Surely" if self.confidence >= SURE else "Likely" if self.confidence >= LIKELY else "Perhaps"
        given = f" (--input-range={self.input_range[0]:g},{self.input_range[1]:g})" if self.input_range else ""
        more = "" if given else " --input-range cannot say this: feed it from your own program."
        if first.feed == BYTES[0].name:
            more = " This is how edgeproof's runtime feeds it."
        sure = "over 99.9%" if self.confidence > SURE else f"{self.confidence:.1%}"
        return f"{how} {first.feed}{given}: top-1 {first.top1:.1%}, confidence {sure}.{more}"

    better_than_chance: bool = True


def feeds(dtype: str) -> tuple[Feed, ...]:
    """What to try on an input of some type: an integer input says itself what its bytes stand for."""
    return FEEDS if dtype == "float32" else BYTES


def answers(runner: Runner, feed: Feed, pixels: Pixels) -> Probabilities:
    """The outputs for uint8 pixels of shape (n, height, width, 3), shape (n, classes)."""
    parts = [
        runner.leave(runner.raw(feed.values(pixels[start : start + BATCH], runner.input.dtype)))
        for start in range(0, len(pixels), BATCH)
    ]
    return np.concatenate(parts)


def tried(runner: Runner, pixels: Pixels, classes: Answers, chosen: Sequence[Feed]) -> Verdict:
    """Run every feed on the same pictures, and compare the best two picture by picture."""
    trials, likelihoods = [], []
    with progress.bar("Trying ranges", len(chosen)) as advance:
        for feed in chosen:
            outputs = answers(runner, feed, pixels)
            likelihoods.append(_log_likelihoods(outputs, classes))
            top1 = top_k(outputs, classes, 1).share
            trials.append(Trial(feed=feed.name, top1=top1, log_likelihood=float(likelihoods[-1].mean())))
            advance(1)
    order = sorted(range(len(chosen)), key=lambda number: -trials[number].log_likelihood)
    best, second = order[0], order[min(1, len(order) - 1)]
    least = top_k(answers(runner, chosen[best], pixels), classes, 1).interval()[0]
    return Verdict(
        images=len(pixels),
        trials=tuple(trials[number] for number in order),
        confidence=_confidence(likelihoods[best] - likelihoods[second]),
        input_range=None if chosen[best].bgr or runner.input.dtype != "float32" else chosen[best].span,
        better_than_chance=least > 1 / runner.output.shape[-1],
    )


def _log_likelihoods(outputs: Probabilities, classes: Answers) -> NDArray[np.float64]:
    """Of the true class of each picture; what are no probabilities goes through a softmax first."""
    values = np.nan_to_num(outputs.astype(np.float64), nan=0.0, posinf=1e30, neginf=-1e30)
    if values.min() < 0 or abs(float(np.median(values.sum(axis=1))) - 1) > 0.05:
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    own = np.take_along_axis(values, classes[:, np.newaxis], axis=1)[:, 0]
    return np.log(np.maximum(own, FLOOR))


def _confidence(differences: NDArray[np.float64]) -> float:
    """How likely the mean of paired differences is above zero, by the normal distribution; 0.5 for no difference."""
    if len(differences) < 2 or not differences.any():
        return 0.5
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    z = float(differences.mean() / error) if error > 0 else math.inf
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))
