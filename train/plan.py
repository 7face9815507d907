"""What a training would do, before it does it: pictures, steps, parameters, memory, disk and time."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import msgspec
import numpy as np

from edgeproof.runtime.errors import DataError
from edgeproof.train import memory, views
from edgeproof.train.config import Config
from edgeproof.train.dataset import Survey
from edgeproof.train.split import stratified

# Names, classes and hashes of a picture, in bytes, wherever its pixels lie.
PER_PICTURE = 300


@dataclass(frozen=True)
class PhaseCosts:
    """What was measured of a phase, in seconds: a picture through the frozen part, a step, and a batch that is watched.

    `cached_shape` is that of the frozen part's output for one picture, empty where nothing is cached; `itemsize` the
    bytes of one of its numbers.
    """

    picture_seconds: float
    step_seconds: float
    watched_seconds: float
    cached_shape: tuple[int, ...]
    itemsize: int
    trainable: int
    frozen: int


@dataclass(frozen=True)
class Costs:
    """What was measured with the real model on this machine; `base_bytes` is the process's peak by then."""

    head: PhaseCosts
    finetune: PhaseCosts
    reading_seconds: float
    evaluation_seconds: float
    base_bytes: int


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase. `views` are the augmented views of each picture that are run through the frozen part and kept."""

    name: str
    epochs: int
    batch: int
    steps_per_epoch: int
    steps: int
    views: int
    trainable_parameters: int
    frozen_parameters: int
    cache_bytes: int
    seconds: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A training before it runs. Seconds and `memory_bytes` are estimates, from a few real steps on this machine.

    `sizes` are the sides in pixels that a picture is brought to one after another; `pictures_in` says where decoded
    pictures lie, "memory" or "files"; `disk_bytes` is what the run's cache takes at most.
    """

    training_pictures: int
    validation_pictures: int
    test_pictures: int
    classes: int
    fewest_in_a_class: int
    most_in_a_class: int
    sizes: tuple[int, ...]
    phases: tuple[Phase, ...]
    pictures_in: str
    memory_bytes: int
    memory_limit_bytes: int
    disk_bytes: int
    reading_seconds: float
    evaluation_seconds: float
    seconds: float

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def fits(self) -> bool:
        """Whether the estimate is within the limit of memory."""
        return self.memory_bytes <= self.memory_limit_bytes


def make(config: Config, survey: Survey, costs: Costs, limit: int) -> Plan:
    """The plan for a data set, from what was measured and a limit of memory in bytes. A pure function."""
    train, validation = parts(survey, config)
    pictures = train + validation + survey.test_pictures
    watched = validation or survey.test_pictures
    phases = (
        _phase("head", config, train, watched, costs.head),
        _phase("finetune", config, train, watched, costs.finetune),
    )
    preprocessing = survey.sample.preprocessing
    decoded = memory.picture_bytes(pictures, preprocessing.stored_size)
    in_files = survey.from_files and decoded > memory.for_pictures(limit)
    reading, evaluation = pictures * costs.reading_seconds, survey.test_pictures * costs.evaluation_seconds
    return Plan(
        training_pictures=train,
        validation_pictures=validation,
        test_pictures=survey.test_pictures,
        classes=len(survey.labels),
        fewest_in_a_class=int(survey.counts.min()),
        most_in_a_class=int(survey.counts.max()),
        sizes=tuple(step.width for step in preprocessing.steps),
        phases=phases,
        pictures_in="files" if in_files else "memory",
        memory_bytes=costs.base_bytes + PER_PICTURE * pictures + (0 if in_files else decoded),
        memory_limit_bytes=limit,
        # The phases come one after the other, and each removes what it kept.
        disk_bytes=max(phase.cache_bytes for phase in phases) + (decoded if in_files else 0),
        reading_seconds=round(reading, 1),
        evaluation_seconds=round(evaluation, 1),
        seconds=round(reading + evaluation + sum(phase.seconds for phase in phases), 1),
    )


def parts(survey: Survey, config: Config) -> tuple[int, int]:
    """How many pictures are trained on, and how many are cut off to be watched. Raises `DataError` for too few."""
    if len(survey.labels) < 2 or not survey.counts.all() or not survey.test_pictures:
        raise DataError(f"{config.data.source}: no pictures to train and test two classes with. Add some.")
    every = int(survey.counts.sum())
    if not config.data.validation_share:
        return every, 0
    classes = np.repeat(np.arange(len(survey.counts)), survey.counts)
    rest, held_back = stratified(classes, config.data.validation_share, config.seed)
    return len(rest), len(held_back)


def phase_seconds(costs: PhaseCosts, *, train: int, watched: int, batch: int, epochs: int, views: int) -> float:
    """What a phase takes: every view of every picture once through the frozen part, then steps and a look an epoch."""
    if not epochs:
        return 0.0
    frozen = (views * train + watched) * costs.picture_seconds
    epoch = ceil(train / batch) * costs.step_seconds + ceil(watched / batch) * costs.watched_seconds
    return frozen + epochs * epoch


def _phase(name: str, config: Config, train: int, watched: int, costs: PhaseCosts) -> Phase:
    settings = config.phase(name)
    looked_at = config.views_in(name)
    steps = ceil(train / settings.batch)
    cached = prod(costs.cached_shape) * costs.itemsize if costs.cached_shape and settings.epochs else 0
    seconds = phase_seconds(
        costs, train=train, watched=watched, batch=settings.batch, epochs=settings.epochs, views=looked_at
    )
    return Phase(
        name=name,
        epochs=settings.epochs,
        batch=settings.batch,
        steps_per_epoch=steps,
        steps=settings.epochs * steps,
        views=looked_at if costs.cached_shape else 0,
        trainable_parameters=costs.trainable,
        frozen_parameters=costs.frozen,
        cache_bytes=cached * (views.kept(looked_at, settings.epochs) * train + watched),
        seconds=round(seconds, 1),
    )
