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
    """The pictures themselves, augmented anew in every one of `views`, an epoch one after the other; 0 for no end."""

    pictures: LabelledPictures
    augmentation: Augmentation | None
    seed: int
    views: int = 0

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
            view = epoch % self.views if self.views else epoch
            stored = augmented(stored, self.augmentation, seed=self.seed, view=view, numbers=numbers)
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

    `weights` are those of the classes, shape (classes,), float32; `mixing` is done to what the network takes.
    """

    source: Source
    classes: NDArray[np.int64]
    count: int
    size: int
    seed: int
    mixing: Mixing = field(default_factory=Mixing)
    weights: NDArray[np.float32] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every picture is seen once; the last one is partial."""
        return ceil(len(self.classes) / self.size)

    def batch(self, step: int) -> tuple[Values, Labels, NDArray[np.float32]]:
        """Inputs of shape (n, …), labels of shape (n, classes) and weights of shape (n,) of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.classes))
        chosen = order[place * self.size : (place + 1) * self.size]
        labels = one_hot(self.classes[chosen], self.count)
        mixed, labels = self.mixing(
            self.source.inputs(epoch, chosen), labels, np.random.default_rng((self.seed, epoch, place))
        )
        weights = np.ones(len(chosen), np.float32) if self.weights is None else labels @ self.weights
        return mixed, labels, weights

    def dataset(self, first_step: int, last_step: int) -> Any:
        """A `tf.data.Dataset` of (float32 inputs, labels, weights) for the steps [first, last)."""

        def fetch(step: NDArray[np.int64]) -> tuple[Values, Labels, NDArray[np.float32]]:
            inputs, labels, weights = self.batch(int(step))
            return inputs.astype(np.float32), labels, weights

        def load(step: Any) -> tuple[Any, Any, Any]:
            inputs, labels, weights = tf.numpy_function(fetch, [step], (tf.float32, tf.float32, tf.float32))
            inputs.set_shape((None, *self.source.shape))
            labels.set_shape((None, self.count))
            weights.set_shape((None,))
            return inputs, labels, weights

        steps = tf.data.Dataset.range(first_step, last_step)
        return steps.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def in_order(source: Source, classes: NDArray[np.int64], count: int, size: int) -> Any:
    """A `tf.data.Dataset` of (float32 inputs, one-hot labels), every picture once and in order."""

    def fetch(step: NDArray[np.int64]) -> tuple[Values, Labels]:
        numbers = np.arange(int(step) * size, min((int(step) + 1) * size, len(classes)))
        return source.inputs(0, numbers).astype(np.float32), one_hot(classes[numbers], count)

    def load(step: Any) -> tuple[Any, Any]:
        inputs, labels = tf.numpy_function(fetch, [step], (tf.float32, tf.float32))
        inputs.set_shape((None, *source.shape))
        labels.set_shape((None, count))
        return inputs, labels

    steps = tf.data.Dataset.range(ceil(len(classes) / size))
    return steps.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def balanced(classes: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Weights of shape (count,) by the inverse of each class's pictures; 1 on average over the pictures."""
    pictures = np.bincount(classes, minlength=count)
    return (len(classes) / (count * np.maximum(pictures, 1))).astype(np.float32)


def one_hot(classes: NDArray[np.int64], count: int) -> Labels:
    """Classes of shape (n,) as rows of shape (n, count) with a single 1."""
    return np.eye(count, dtype=np.float32)[classes]


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
