"""A short training that brings a changed model back to what its original answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from math import pi
from types import MappingProxyType
from typing import Any

import msgspec
import tensorflow as tf

from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train.batches import Batches, PictureSource
from edgeproof.train.config import Augmentation

_LOG_STEPS = 10
# The share of the steps in which the learning rate rises.
_WARMUP = 0.05
# How many pictures tell the statistics of batch norm anew.
_NORM_BATCH, _NORM_BATCHES = 64, 16
_LEAST = 1e-12


class Finetuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a fine-tuning.

    `distillation` is the share of the original model's answers in what is to be learned; the labels are the rest.
    `learning_rate` is the first one of a cosine that ends at zero, after a short rise.
    """

    steps: int = 600
    batch: int = 64
    learning_rate: float = 1e-4
    distillation: float = 1.0
    flip: bool = True
    shift: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch < 1 or self.shift < 0 or self.learning_rate <= 0:
            raise ValueError("Expected steps and shift >= 0, batch >= 1 and learning_rate > 0.")
        if not 0 <= self.distillation <= 1:
            raise ValueError(f"Expected a distillation from 0 to 1, got {self.distillation}.")


class Adam:
    """Adam (Kingma and Ba 2015) whose steps are in units of each weight's own, on a cosine after a short rise.

    A unit is an array that broadcasts to its variable; zeros in it keep weights as they are.
    """

    def __init__(self, variables: Sequence[Any], units: Mapping[str, Any], settings: Finetuning) -> None:
        self.iterations = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._variables, self._settings = list(variables), settings
        self._units = [tf.constant(units.get(each.name, 1.0), tf.float32) for each in self._variables]
        self._means = [tf.Variable(tf.zeros_like(each), trainable=False) for each in self._variables]
        self._squares = [tf.Variable(tf.zeros_like(each), trainable=False) for each in self._variables]

    def apply(self, gradients: Sequence[Any]) -> None:
        """Take one step against the gradients, in the order of the variables."""
        done = tf.cast(self.iterations, tf.float32)
        cosine = (1 + tf.cos(done / self._settings.steps * pi)) / 2
        cosine *= tf.minimum(1.0, (done + 1) / (_WARMUP * self._settings.steps))
        corrections = tf.sqrt(1 - 0.999 ** (done + 1)) / (1 - 0.9 ** (done + 1))
        rate = self._settings.learning_rate * cosine * corrections
        every = zip(self._variables, gradients, self._units, self._means, self._squares, strict=True)
        for variable, gradient, unit, mean, square in every:
            if gradient is None:
                continue
            dense = tf.convert_to_tensor(gradient)  # what is gathered has a sparse one
            mean.assign(0.9 * mean + 0.1 * dense)
            square.assign(0.999 * square + 0.001 * tf.square(dense))
            variable.assign_sub(rate * unit * mean / (tf.sqrt(square) + 1e-8))
        self.iterations.assign_add(1)


def finetune(
    student: Any,
    teacher: Any,
    pictures: LabelledPictures,
    settings: Finetuning,
    *,
    report: Callable[[int, str], None],
    units: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Train the student, a model from pixels to logits, on labelled pictures; the teacher gives logits as well.

    `units` maps names of the student's variables to the units of their steps. `report` is told every few steps
    how many are done, and some words.
    """
    variables = student.trainable_variables
    optimizer = Adam(variables, units, settings)
    share = settings.distillation

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def step(pixels: Any, labels: Any) -> tuple[Any, Any]:
        answers = tf.nn.softmax(teacher(pixels, training=False))
        target = share * answers + (1 - share) * labels
        with tf.GradientTape() as tape:
            logits = student(pixels, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
        optimizer.apply(tape.gradient(loss, variables))
        same = tf.equal(tf.argmax(answers, axis=1), tf.argmax(logits, axis=1))
        return loss, tf.reduce_mean(tf.cast(same, tf.float32))

    source = PictureSource(pictures, Augmentation(flip=settings.flip, shift=settings.shift), settings.seed)
    plan = Batches(source, pictures.classes, len(pictures.labels), settings.batch, settings.seed)
    same = 0.0
    for number, (pixels, labels, _) in enumerate(plan.dataset(0, settings.steps), start=1):
        _, found = step(pixels, labels)
        same = float(found) if number == 1 else 0.95 * same + 0.05 * float(found)
        if number % _LOG_STEPS == 0 or number == settings.steps:
            report(number, f"same answers {same:.1%}")


def correct_norms(model: Any, original: Any, pictures: LabelledPictures) -> None:
    """Move batch norm's statistics by as much as changed kernels move what it takes; then it stays, weights and all.

    Without this, most answers of a clustered or pruned network change, and few come back in a short training.
    `original` has the kernels as they were, and layers of the same names; its statistics are lost.
    """
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    others = [original.get_layer(layer.name) for layer in norms]
    kept = [(layer.moving_mean.numpy(), layer.moving_variance.numpy()) for layer in norms]
    for number, (pixels, _) in enumerate(islice(pictures.batches(_NORM_BATCH), _NORM_BATCHES)):
        for layer in (*norms, *others):
            layer.momentum = number / (number + 1)  # the mean over the batches so far
        for each in (model, original):
            each(pixels.astype("float32"), training=True)
    for layer, other, (mean, variance) in zip(norms, others, kept, strict=True):
        layer.moving_mean.assign(mean + layer.moving_mean.numpy() - other.moving_mean.numpy())
        ratio = layer.moving_variance.numpy() / (other.moving_variance.numpy() + _LEAST)
        layer.moving_variance.assign(variance * ratio)
        layer.trainable = False
