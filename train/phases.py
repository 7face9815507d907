"""The two phases: the head on features of the frozen base, then the base without its first layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import progress
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train import batches, cutting, distribution, forecast, frozen, network, optimizers, views
from edgeproof.train.batches import Batches, Mixing, PictureSource, Source
from edgeproof.train.config import Config
from edgeproof.train.frozen import Frozen
from edgeproof.train.keeping import Keeper
from edgeproof.train.loop import Loop, Watched, compiled
from edgeproof.train.views import CachedViews

# The batch of everything that only runs forward.
BATCH = 256


@dataclass(frozen=True)
class Material:
    """What a training learns from, what it watches ("validation" or "test"), and the folder of what it caches."""

    train: LabelledPictures
    watched: LabelledPictures
    name: str
    cache: Path


def predict(model: Any, pictures: LabelledPictures, description: str) -> NDArray[np.float32]:
    """A Keras model's outputs on all pictures, in order, with a progress bar."""
    outputs: list[NDArray[np.float32]] = []
    with progress.bar(description, len(pictures)) as advance:
        source = PictureSource(pictures, None, seed=0)
        for pixels, _ in batches.in_order(source, pictures.classes, len(pictures.labels), BATCH):
            outputs.append(model.predict_on_batch(pixels))
            advance(len(pixels))
    return np.concatenate(outputs)


def train_head(model: Any, material: Material, config: Config, keeper: Keeper) -> None:
    """Phase 1. The base is frozen, so its features are computed once a view and not in every epoch."""
    settings = config.head
    if not settings.epochs or keeper.is_past("head", model):
        return
    cut = cutting.for_head(model)
    pictures = PictureSource(material.train, config.augmentation_in("head"), config.seed, config.views_in("head"))
    cached = _Cached(cut.frozen, pictures, material, settings.epochs, np.float32, "Features")
    plan = _plan(cached.train, material.train, settings.batch, config.seed)
    later = forecast.finetuning(model, config, len(material.train))
    with distribution.strategy().scope():
        optimizer = optimizers.for_head(settings, cut.trained, settings.epochs * plan.steps_per_epoch)
        compiled(cut.trained, optimizer, settings.label_smoothing)
    try:
        with distribution.precision(cut.trained):
            keeper.train(
                Loop(cut.trained, model, plan, cached.watched, "head", settings.epochs),
                ahead=lambda: None if later is None else later * cached.train.picture_seconds,
            )
    finally:
        cached.close()


def finetune(model: Any, material: Material, config: Config, keeper: Keeper) -> None:
    """Phase 2. What lies behind the last place before a trained layer is trained on what was cached there.

    The whole network is run where nothing is frozen, or where the disk has no room.
    """
    settings = config.finetune
    if not settings.epochs:
        return
    cut, cached = cutting.for_finetuning(model, config), None
    pictures = PictureSource(
        material.train, config.augmentation_in("finetune"), config.seed, config.views_in("finetune")
    )
    kept = views.kept(pictures.views, settings.epochs)
    if cut.frozen is not None and not _has_room(cut.frozen, material, kept):
        cut = cutting.uncut(model)
    if cut.frozen is not None:
        cached = _Cached(cut.frozen, pictures, material, settings.epochs, np.float16, "Activations")
    mixing = Mixing(settings.mixup, settings.cutmix)
    weights = batches.balanced(material.train.classes, len(material.train.labels)) if settings.balanced else None
    plan = _plan(cached.train if cached else pictures, material.train, settings.batch, config.seed, mixing, weights)
    steps = settings.epochs * plan.steps_per_epoch
    with distribution.strategy().scope():
        optimizer = optimizers.for_finetuning(settings, cut.trained, steps, network.base_layers(model))
        compiled(cut.trained, optimizer, settings.label_smoothing)
    watched = cached.watched if cached else _watched(PictureSource(material.watched, None, config.seed), material)
    try:
        with distribution.precision(cut.trained):
            loop = Loop(cut.trained, model, plan, watched, "finetune", settings.epochs)
            keeper.train(loop, patience=settings.patience)
    finally:
        if cached:
            cached.close()


class _Cached:
    """A frozen part's outputs for what is trained on and for what is watched."""

    def __init__(
        self, before: Any, pictures: PictureSource, material: Material, epochs: int, dtype: type, name: str
    ) -> None:
        part = Frozen(distribution.local(before))
        part.check(pictures.inputs(0, np.arange(min(frozen.CHECKED, len(pictures.pictures)))))
        self.train = CachedViews(pictures, part, material.cache, epochs=epochs, dtype=dtype, name=name)
        plain = PictureSource(material.watched, None, pictures.seed)
        self._watched = CachedViews(plain, part, material.cache, epochs=1, dtype=dtype, name=f"{name}, watched")
        self.watched = _watched(self._watched, material)

    def close(self) -> None:
        self.train.close()
        self._watched.close()


def _has_room(before: Any, material: Material, kept: int) -> bool:
    shape = before.outputs[0].shape[1:]
    return views.room_for(shape, np.float16, kept * len(material.train) + len(material.watched), material.cache)


def _watched(source: Source, material: Material) -> Watched:
    pictures = material.watched
    return Watched(material.name, source, pictures.classes, len(pictures.labels))


def _plan(
    source: Source,
    train: LabelledPictures,
    size: int,
    seed: int,
    mixing: Mixing | None = None,
    weights: NDArray[np.float32] | None = None,
) -> Batches:
    return Batches(
        source, train.classes, len(train.labels), size, seed, mixing or Mixing(), weights, distribution.shard()
    )
