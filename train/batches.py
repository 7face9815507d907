"""`tf.data` input: uint8 pictures, augmented and resized per batch, the same for the same seed and step."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels


@dataclass(frozen=True)
class Batches:
    """Which pictures each training step sees. Step s is a function of the seed and s, so any step can be resumed."""

    pictures: LabelledPictures
    size: int
    seed: int
    flip: bool = False
    shift: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every picture is seen once; the last one is partial."""
        return ceil(len(self.pictures) / self.size)

    def batch(self, step: int) -> tuple[Pixels, NDArray[np.float32]]:
        """Pixels of shape (n, height, width, 3), uint8, and one-hot labels of shape (n, classes) of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.pictures))
        chosen = order[place * self.size : (place + 1) * self.size]
        stored = augmented(
            self.pictures.stored[chosen],
            np.random.default_rng((self.seed, epoch, place)),
            flip=self.flip,
            shift=self.shift,
        )
        pixels = self.pictures.preprocessing.finished(stored)
        return pixels, one_hot(self.pictures.classes[chosen], len(self.pictures.labels))

    def dataset(self, first_step: int, last_step: int) -> Any:
        """A `tf.data.Dataset` of (float32 pixels 0–255, one-hot labels) for the steps [first, last)."""

        def fetch(step: NDArray[np.int64]) -> tuple[Pixels, NDArray[np.float32]]:
            return self.batch(int(step))

        height, width = self.pictures.preprocessing.input_size
        steps = tf.data.Dataset.range(first_step, last_step)
        return _finished(steps, fetch, (height, width), len(self.pictures.labels))


def in_order(pictures: LabelledPictures, size: int) -> Any:
    """A `tf.data.Dataset` of (float32 pixels 0–255, one-hot labels), every picture once and in order."""

    def fetch(step: NDArray[np.int64]) -> tuple[Pixels, NDArray[np.float32]]:
        part = slice(int(step) * size, (int(step) + 1) * size)
        pixels = pictures.preprocessing.finished(pictures.stored[part])
        return pixels, one_hot(pictures.classes[part], len(pictures.labels))

    steps = tf.data.Dataset.range(ceil(len(pictures) / size))
    return _finished(steps, fetch, pictures.preprocessing.input_size, len(pictures.labels))


def augmented(stored: Pixels, generator: np.random.Generator, *, flip: bool, shift: int) -> Pixels:
    """Mirror half of the pictures, and move each by up to `shift` pixels, repeating the border."""
    result = stored.copy()
    count, height, width = stored.shape[:3]
    if flip:
        mirrored = generator.random(count) < 0.5
        result[mirrored] = result[mirrored, :, ::-1]
    if shift:
        padded = np.pad(result, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")
        offsets = generator.integers(0, 2 * shift + 1, (count, 2))
        for index, (top, left) in enumerate(offsets):
            result[index] = padded[index, top : top + height, left : left + width]
    return result


def one_hot(classes: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Classes of shape (n,) as rows of shape (n, count) with a single 1."""
    return np.eye(count, dtype=np.float32)[classes]


def _finished(steps: Any, fetch: Any, size: tuple[int, int], classes: int) -> Any:
    def load(step: Any) -> tuple[Any, Any]:
        pixels, labels = tf.numpy_function(fetch, [step], (tf.uint8, tf.float32))
        pixels.set_shape((None, *size, 3))
        labels.set_shape((None, classes))
        return tf.cast(pixels, tf.float32), labels

    return steps.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)
