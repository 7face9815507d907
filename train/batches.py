"""`tf.data` input: what each training step sees, the same for the same seed and step, from pictures or cached views."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels
from edgeproof.train.augmentation import augmented
from edgeproof.train.config import Augmentation

Values = NDArray[Any]
Labels = NDArray[np.float32]


@dataclass(frozen=True)
class Shard:
    """Which of `total` replicas are this process's: `count` from `first` on. Each takes a part of every step."""

    first: int = 0
    count: int = 1
    total: int = 1


class Source(Protocol):
    """What a network is trained on: pictures, or what a frozen part of it makes of them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""

    def prepare(self, epoch: int) -> None:
        """Have ready what the epoch needs; called once before its first step."""

    def inputs(self, epoch: int, numbers: NDArray[np.int64]) -> Values:
        """The inputs of these pictures in this epoch, of shape (n, …)."""


@dataclass(frozen=True)
class PictureSource:
    """The pictures themselves, augmented anew in every one of `views`, an epoch one after the other."""

    pictures: LabelledPictures
    augmentation: Augmentation | None
    seed: int
    views: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, 3) of the model's input."""
        return (*self.pictures.preprocessing.input_size, 3)

    def prepare(self, epoch: int) -> None:
        """Nothing to do."""

    def inputs(self, epoch: int, numbers: NDArray[np.int64]) -> Pixels:
        """Pixels of shape (n, height, width, 3), uint8, as the model takes them."""
        stored = self.pictures.stored[numbers]
        if self.augmentation is not None:
            stored = augmented(stored, self.augmentation, seed=self.seed, view=epoch % self.views, numbers=numbers)
        return self.pictures.preprocessing.finished(stored)


@dataclass(frozen=True)
class Mixing:
    """The shares of steps whose pictures are mixed, and how evenly: the Beta distribution's parameter."""

    mixup: float = 0.0
    cutmix: float = 0.0
    alpha: float = 1.0

    def __call__(self, inputs: Values, labels: Labels, generator: np.random.Generator) -> tuple[Values, Labels]:
        """Mix inputs (n, height, width, channels) and labels (n, classes) with their own in another order, or not."""
        draw = generator.random()
        if draw >= self.mixup + self.cutmix:
            return inputs, labels
        share = generator.beta(self.alpha, self.alpha)
        other = generator.permutation(len(inputs))
        if draw < self.mixup:
            mixed = (share * inputs + (1 - share) * inputs[other]).astype(inputs.dtype)
        else:
            mixed, share = _pasted(inputs, other, share, generator)
        return mixed, (share * labels + (1 - share) * labels[other]).astype(np.float32)


@dataclass(frozen=True)
class Batches:
    """Which inputs each training step sees. Step s is a function of the seed and s, so any step can be resumed.

    `weights` are those of the classes, shape (classes,), float32; `mixing` is done to what the network takes. A step is
    divided among the replicas of `shard`; the weights are such that the mean of a part's losses, averaged over the
    replicas as `tf.distribute` does it, is the mean over the whole step, however uneven the parts.
    """

    source: Source
    classes: NDArray[np.int64]
    count: int
    size: int
    seed: int
    mixing: Mixing = field(default_factory=Mixing)
    weights: NDArray[np.float32] | None = None
    shard: Shard = Shard()

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every picture is seen once; the last one is partial."""
        return ceil(len(self.classes) / self.size)

    def batch(self, step: int, replica: int = 0) -> tuple[Values, Labels, NDArray[np.float32]]:
        """A replica's inputs of shape (n, …), labels of shape (n, classes) and weights of shape (n,) of a step.

        A step with fewer pictures than replicas has one without weight for those that would get none.
        """
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.classes))
        chosen = order[place * self.size : (place + 1) * self.size]
        part = slice(*_bounds(len(chosen), replica, self.shard.total))
        rows = part.stop - part.start
        part = part if rows else slice(0, 1)
        if self.mixing.mixup or self.mixing.cutmix:
            # A picture may be mixed with one of another part.
            labels = one_hot(self.classes[chosen], self.count)
            generator = np.random.default_rng((self.seed, epoch, place))
            inputs, labels = self.mixing(self.source.inputs(epoch, chosen), labels, generator)
            inputs, labels = inputs[part], labels[part]
        else:
            inputs = self.source.inputs(epoch, chosen[part])
            labels = one_hot(self.classes[chosen[part]], self.count)
        share = rows * self.shard.total / len(chosen)
        weights = np.ones(len(inputs), np.float32) if self.weights is None else labels @ self.weights
        return inputs, labels, weights * np.float32(share)

    def dataset(self, first_step: int, last_step: int) -> Any:
        """A `tf.data.Dataset` of (float32 inputs, labels, weights) for the steps [first, last).

        Of each step it has one element for each of this process's replicas.
        """

        def fetch(number: NDArray[np.int64]) -> tuple[Values, Labels, NDArray[np.float32]]:
            step, replica = divmod(int(number), self.shard.count)
            inputs, labels, weights = self.batch(step, self.shard.first + replica)
            return inputs.astype(np.float32), labels, weights

        def load(number: Any) -> tuple[Any, Any, Any]:
            inputs, labels, weights = tf.numpy_function(fetch, [number], (tf.float32, tf.float32, tf.float32))
            inputs.set_shape((None, *self.source.shape))
            labels.set_shape((None, self.count))
            weights.set_shape((None,))
            return inputs, labels, weights

        numbers = tf.data.Dataset.range(first_step * self.shard.count, last_step * self.shard.count)
        return numbers.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def in_order(source: Source, classes: NDArray[np.int64], count: int, size: int, shard: Shard = Shard()) -> Any:
    """A `tf.data.Dataset` of (float32 inputs, one-hot labels), every picture once and in order.

    With a `shard`, those of its replicas in turn, none without a picture. Raises `ValueError` for fewer pictures.
    """
    if len(classes) < shard.total:
        raise ValueError(f"Expected at least {shard.total} pictures, got {len(classes)}.")
    steps = ceil(len(classes) / (size * shard.total))
    # Whole batches for one replica, even parts for several: none may be empty.
    edges = np.arange(steps * shard.total + 1) * len(classes) // (steps * shard.total)
    if shard.total == 1:
        edges = np.minimum(np.arange(steps + 1) * size, len(classes))

    def fetch(number: NDArray[np.int64]) -> tuple[Values, Labels]:
        step, replica = divmod(int(number), shard.count)
        place = step * shard.total + shard.first + replica
        numbers = np.arange(edges[place], edges[place + 1])
        return source.inputs(0, numbers).astype(np.float32), one_hot(classes[numbers], count)

    def load(number: Any) -> tuple[Any, Any]:
        inputs, labels = tf.numpy_function(fetch, [number], (tf.float32, tf.float32))
        inputs.set_shape((None, *source.shape))
        labels.set_shape((None, count))
        return inputs, labels

    numbers = tf.data.Dataset.range(steps * shard.count)
    return numbers.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def balanced(classes: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Weights of shape (count,) by the inverse of each class's pictures; 1 on average over the pictures."""
    pictures = np.bincount(classes, minlength=count)
    return (len(classes) / (count * np.maximum(pictures, 1))).astype(np.float32)


def one_hot(classes: NDArray[np.int64], count: int) -> Labels:
    """Classes of shape (n,) as rows of shape (n, count) with a single 1."""
    return np.eye(count, dtype=np.float32)[classes]


def _bounds(count: int, part: int, parts: int) -> tuple[int, int]:
    """Where a part of `count` things begins and ends; parts differ by one thing at most."""
    return count * part // parts, count * (part + 1) // parts


def _pasted(
    inputs: Values, other: NDArray[np.int64], share: float, generator: np.random.Generator
) -> tuple[Values, float]:
    """The inputs with a box of others' over them, and what share of each is its own."""
    height, width = inputs.shape[1:3]
    tall, wide = (round(side * float(np.sqrt(1 - share))) for side in (height, width))
    top, left = generator.integers(0, height - tall + 1), generator.integers(0, width - wide + 1)
    mixed = inputs.copy()
    box = (slice(None), slice(top, top + tall), slice(left, left + wide))
    mixed[box] = inputs[other][box]
    return mixed, 1 - tall * wide / (height * width)
