"""The two phases: the head on features of the frozen base, then the base without its first layers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import progress
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train import batches, network
from edgeproof.train.config import Config, Finetune, Head
from edgeproof.train.history import Epoch

logger = logging.getLogger(__name__)

# The batch of everything that only runs forward.
BATCH = 256
AfterEpoch = Callable[[Epoch], None]


def predict(model: Any, pictures: LabelledPictures, description: str) -> NDArray[np.float32]:
    """A Keras model's outputs on all pictures, in order, with a progress bar."""
    outputs: list[NDArray[np.float32]] = []
    with progress.bar(description, len(pictures)) as advance:
        for pixels, _ in batches.in_order(pictures, BATCH):
            outputs.append(model.predict_on_batch(pixels))
            advance(len(pixels))
    return np.concatenate(outputs)


def train_head(
    model: Any, train: LabelledPictures, test: LabelledPictures, config: Config, after_epoch: AfterEpoch
) -> None:
    """Phase 1. The base is frozen, so its features are computed once and not in every epoch."""
    settings: Head = config.head
    if not settings.epochs:
        return
    for layer in network.base_layers(model):
        layer.trainable = False
    extractor = network.feature_model(model)
    known, unknown = (
        predict(extractor, part, f"Features, {name}") for part, name in ((train, "training"), (test, "test"))
    )
    head = network.head_model(model)
    _compile(head, keras.optimizers.Adam(settings.learning_rate), settings.label_smoothing)
    count = len(train.labels)
    steps = settings.epochs * -(-len(train) // settings.batch)
    with progress.bar("Phase 1, head", steps, note=(notes := _Notes()).text) as advance:
        head.fit(
            known,
            batches.one_hot(train.classes, count),
            batch_size=settings.batch,
            epochs=settings.epochs,
            validation_data=(unknown, batches.one_hot(test.classes, count)),
            validation_batch_size=4096,
            verbose=0,
            callbacks=[_Watch("head", 0, advance, notes, after_epoch)],
        )


def finetune(
    model: Any,
    train: LabelledPictures,
    test: LabelledPictures,
    config: Config,
    after_epoch: AfterEpoch,
    *,
    first_epoch: int = 0,
    optimizer: Any = None,
) -> None:
    """Phase 2, from `first_epoch` on; a resumed run passes the `optimizer` of its checkpoint."""
    settings: Finetune = config.finetune
    if first_epoch >= settings.epochs:
        return
    network.freeze(model, settings.frozen_layers, batch_norm=settings.batch_norm)
    plan = batches.Batches(train, settings.batch, config.seed, flip=settings.flip, shift=settings.shift)
    per_epoch = plan.steps_per_epoch
    _compile(model, optimizer or _optimizer(settings, settings.epochs * per_epoch), settings.label_smoothing)
    todo = (settings.epochs - first_epoch) * per_epoch
    with progress.bar("Phase 2, fine-tuning", todo, note=(notes := _Notes()).text) as advance:
        model.fit(
            plan.dataset(first_epoch * per_epoch, settings.epochs * per_epoch),
            steps_per_epoch=per_epoch,
            initial_epoch=first_epoch,
            epochs=settings.epochs,
            validation_data=batches.in_order(test, BATCH),
            shuffle=False,
            verbose=0,
            callbacks=[_Watch("finetune", config.head.epochs, advance, notes, after_epoch)],
        )


def _compile(model: Any, optimizer: Any, label_smoothing: float) -> None:
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # XLA is many times slower on a CPU for this network
    )


def _optimizer(settings: Finetune, steps: int) -> Any:
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        warmup = max(1, steps // 20)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup, warmup_target=settings.learning_rate, warmup_steps=warmup
        )
    if settings.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    return keras.optimizers.Adam(rate)


class _Notes:
    """The words behind the progress bar."""

    def __init__(self) -> None:
        self._words = ""

    def text(self) -> str:
        return self._words

    def set(self, logs: dict[str, float]) -> None:
        self._words = f"top-1 {logs['accuracy']:.1%}" if "accuracy" in logs else self._words


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Moves the progress bar, and hands every finished epoch on."""

    def __init__(
        self, phase: str, offset: int, advance: progress.Advance, notes: _Notes, after_epoch: AfterEpoch
    ) -> None:
        super().__init__()
        self._phase, self._offset = phase, offset
        self._advance, self._notes, self._after_epoch = advance, notes, after_epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._notes.set(logs or {})
        self._advance(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        found = logs or {}
        finished = Epoch(
            epoch=self._offset + epoch + 1,
            phase=self._phase,
            loss=float(found["loss"]),
            top1=float(found["accuracy"]),
            test_loss=float(found["val_loss"]),
            test_top1=float(found["val_accuracy"]),
        )
        logger.info(
            "%s epoch %d: loss %.4f, top-1 %.2f %%; on the test set %.4f, %.2f %%",
            finished.phase,
            epoch + 1,
            finished.loss,
            100 * finished.top1,
            finished.test_loss,
            100 * finished.test_top1,
        )
        self._after_epoch(finished)


def finished_epochs(history: Sequence[Epoch], phase: str) -> int:
    """How many epochs of a phase a history holds."""
    return sum(epoch.phase == phase for epoch in history)
