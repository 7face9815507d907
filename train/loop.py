"""The loop of a phase: steps, epochs, what is watched, and a state that can be saved between any two steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeproof.runtime import progress
from edgeproof.train import distribution, stopping
from edgeproof.train.batches import Batches, Source, in_order
from edgeproof.train.history import Epoch

logger = logging.getLogger(__name__)

Arrays = list[NDArray[Any]]
# Of what is watched.
BATCH = 256


@dataclass(frozen=True)
class Watched:
    """What no step trains on, as a `Source` with classes of shape (n,), and its name for people."""

    name: str
    source: Source
    classes: NDArray[np.int64]
    count: int

    @property
    def dataset(self) -> Any:
        """A `tf.data.Dataset` of (float32 inputs, one-hot labels), of this process's part."""
        return in_order(self.source, self.classes, self.count, BATCH, distribution.shard())


class Loop:
    """Trains `model`, which is compiled, on the batches of `plan`, `epochs` times through.

    `step` is how many steps are done. `state` is all that the next step depends on besides the plan: the variables of
    `whole` (which `model` is a part of), and those of the optimiser and of the metrics; setting it goes on from there
    bit for bit.
    """

    def __init__(self, model: Any, whole: Any, plan: Batches, watched: Watched, phase: str, epochs: int) -> None:
        self.model, self.plan, self.phase, self.epochs = model, plan, phase, epochs
        self.step = 0
        self._whole, self._watched = whole, watched
        strategy = model.distribute_strategy
        with strategy.scope():
            model.optimizer.build(model.trainable_variables)
            # Keras makes the variables of the metrics when it first sees a batch.
            shapes = (1, *plan.source.shape), (1, plan.count)
            model._symbolic_build(data_batch=tuple(np.zeros(shape, np.float32) for shape in shapes))
        model.reset_metrics()

        @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
        def train(batch: Any) -> None:
            strategy.run(model.train_step, args=(batch,))

        @tf.function  # type: ignore[untyped-decorator]  # as above
        def judge(batch: Any) -> None:
            strategy.run(model.test_step, args=(batch,))

        self._train, self._judge = train, judge

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.epochs * self.plan.steps_per_epoch

    @property
    def state(self) -> tuple[Arrays, Arrays]:
        """Copies of the variables of the whole network, and of all others that the next step depends on."""
        return values(self._whole.variables), values(self._others)

    @state.setter
    def state(self, arrays: tuple[Arrays, Arrays]) -> None:
        assign(self._whole.variables, arrays[0])
        assign(self._others, arrays[1])

    def run(
        self,
        after_epoch: Callable[[Epoch], bool],
        save: Callable[[], None],
        *,
        offset: int,
        ahead: Callable[[], float | None] = lambda: 0.0,
    ) -> None:
        """Go on to the end of the last epoch, or until `after_epoch` says that no other is wanted.

        Epochs are numbered from `offset` + 1. SIGINT and SIGTERM end an epoch between two steps, after `save` unless
        `after_epoch` was just called: raises `Stopped`. `ahead` says how many seconds the phases behind this one will
        take, for the progress bar, None where that is not known.
        """
        per_epoch = self.plan.steps_per_epoch
        note = _Note(self, ahead)
        with progress.bar(f"Phase {self.phase}", self.steps, note=note.text) as advance:
            advance(self.step)
            for epoch in range(self.step // per_epoch, self.epochs):
                started = note.begin_epoch()
                self.plan.source.prepare(epoch)
                self._watched.source.prepare(0)
                with stopping.heeded() as stop:
                    self._epoch(epoch, stop, save, advance)
                    wanted = after_epoch(self._judged(offset + epoch + 1, started))
                # Behind the block, or a signal that came last would be lost.
                distribution.anywhere(stop)
                stop.check(f"after epoch {offset + epoch + 1}")
                if not wanted:
                    return

    def _epoch(self, epoch: int, stop: stopping.Stop, save: Callable[[], None], advance: progress.Advance) -> None:
        last = (epoch + 1) * self.plan.steps_per_epoch
        if self.step == last - self.plan.steps_per_epoch:
            self.model.reset_metrics()
        for batch in distribution.together(self.plan.dataset(self.step, last)):
            self._train(batch)
            self.step += 1
            advance(1)
            if self.step < last and distribution.anywhere(stop):
                save()
                stop.check(f"at step {self.step} of {self.steps} of phase {self.phase}")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged weights in place of the last ones while the block runs, where the optimiser keeps any."""
        optimizer = self.model.optimizer
        if not _averages(optimizer):
            yield
            return
        kept = values(self.model.trainable_variables)
        optimizer.finalize_variable_values(self.model.trainable_variables)
        try:
            yield
        finally:
            assign(self.model.trainable_variables, kept)

    def finish(self) -> None:
        """Put the averaged weights in the place of the last ones, where the optimiser keeps any."""
        if _averages(self.model.optimizer):
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    @property
    def _others(self) -> list[Any]:
        return [*self.model.optimizer.variables, *self.model.metrics_variables]

    def _judged(self, number: int, started: float) -> Epoch:
        trained = self.model.get_metrics_result()
        loss, top1 = float(trained["loss"]), float(trained["accuracy"])
        with self.averaged():
            self.model.reset_metrics()
            for batch in distribution.together(self._watched.dataset):
                self._judge(batch)
            seen = self.model.get_metrics_result()
        done = Epoch(
            *(number, self.phase, loss, top1, self._watched.name, float(seen["loss"]), float(seen["accuracy"])),
            learning_rate=float(np.asarray(self.model.optimizer.learning_rate)),
            seconds=round(time.monotonic() - started, 3),
        )
        logger.info(
            "%s epoch %d: loss %.4f, top-1 %.2f %%; on the %s set %.4f, %.2f %%",
            self.phase,
            number,
            done.loss,
            100 * done.top1,
            self._watched.name,
            done.watched_loss,
            100 * done.watched_top1,
        )
        return done


def values(variables: Sequence[Any]) -> Arrays:
    """Copies of what variables hold."""
    return [np.asarray(variable).copy() for variable in variables]


def assign(variables: Sequence[Any], arrays: Sequence[NDArray[Any]]) -> None:
    """Put arrays into variables. Raises `ValueError` where they are another network's."""
    if [tuple(each.shape) for each in variables] != [each.shape for each in arrays]:
        raise ValueError("Expected arrays of the same network.")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def compiled(model: Any, optimizer: Any, label_smoothing: float) -> Any:
    """The model, ready to be trained on one-hot labels."""
    model.compile(
        optimizer=distribution.scaled(optimizer),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # XLA is many times slower on a CPU for this network
    )
    return model


def _averages(optimizer: Any) -> bool:
    """Whether an optimiser, or the one in it, averages the weights."""
    return bool(getattr(optimizer, "inner_optimizer", optimizer).use_ema)


class _Note:
    """The words behind the progress bar: the top-1 of the epoch so far, and when the whole training will end.

    The bar's own time is that of the phase's steps; this one has all phases, and what is done once an epoch. It is
    known from the first epoch's end on; "~" says that phases are in it of which no step was made.
    """

    def __init__(self, loop: Loop, ahead: Callable[[], float | None]) -> None:
        self._loop, self._ahead = loop, ahead
        self._first = (time.monotonic(), loop.step)
        self._boundary = self._first

    def begin_epoch(self) -> float:
        """Take the time, in seconds, and return it."""
        self._boundary = (time.monotonic(), self._loop.step)
        return self._boundary[0]

    def text(self) -> str:
        # Where there are several processes, all would have to ask at once.
        found = {} if distribution.is_shared() else self._loop.model.get_metrics_result()
        top1 = f"top-1 {float(found['accuracy']):.1%}" if "accuracy" in found else ""
        return ", ".join(part for part in (top1, self._end()) if part)

    def _end(self) -> str:
        seconds, steps = (now - first for now, first in zip(self._boundary, self._first, strict=True))
        ahead = self._ahead()
        if not steps or ahead is None:
            return ""
        left = seconds / steps * (self._loop.steps - self._boundary[1]) - (time.monotonic() - self._boundary[0])
        left, about = max(0.0, left) + ahead, "~" if ahead else ""
        return f"all in {about}{round(left / 60)} min" if left >= 100 else f"all in {about}{round(left)} s"
