"""What a training costs on this machine: a few real steps of both phases with the real model, timed."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import progress
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pool import usable_cores
from edgeproof.train import cutting, network, optimizers
from edgeproof.train.batches import PictureSource
from edgeproof.train.config import Augmentation, Config
from edgeproof.train.cutting import Cut
from edgeproof.train.dataset import Survey
from edgeproof.train.frozen import Frozen
from edgeproof.train.plan import Costs, PhaseCosts

# Steps that are timed, after one that is not.
STEPS = 4
PART = 64


def measure(config: Config, survey: Survey) -> Costs:
    """Build the model that the settings name, and time it on the survey's pictures. Raises `ConfigError`."""
    model = network.build(config.network, len(survey.labels))
    with progress.bar("Timing a few steps", 3) as advance:
        cut = cutting.for_head(model)
        optimizer = optimizers.for_head(config.head, cut.trained, STEPS)
        head = _costs(
            model, cut, optimizer, survey.sample, config.augmentation_in("head"), config.head.batch, np.float32
        )
        advance(1)
        cut = cutting.for_finetuning(model, config)
        optimizer = optimizers.for_finetuning(config.finetune, cut.trained, STEPS, network.base_layers(model))
        batch = config.finetune.batch
        finetune = _costs(model, cut, optimizer, survey.sample, config.augmentation_in("finetune"), batch, np.float16)
        advance(1)
        evaluation = _evaluation(model, survey.sample)
    return Costs(head, finetune, survey.seconds, evaluation, _peak_bytes())


def _costs(
    model: Any,
    cut: Cut,
    optimizer: Any,
    sample: LabelledPictures,
    augmentation: Augmentation | None,
    batch: int,
    kept_as: type,
) -> PhaseCosts:
    """Time a step of the trained part, and a picture through the frozen one, if there is one."""
    source = PictureSource(sample, augmentation, seed=0)
    numbers = np.arange(batch) % len(sample)
    seconds, shape = _frozen_seconds(cut.frozen, source) if cut.frozen is not None else (0.0, ())
    inputs = np.zeros((batch, *shape), np.float32) if shape else source.inputs(0, numbers).astype(np.float32)
    # Without a part before it, a step waits for its pictures, but for what is prepared meanwhile.
    waiting = 0.0 if shape else _seconds(lambda: source.inputs(0, numbers)) / usable_cores()
    labels = np.eye(len(sample.labels), dtype=np.float32)[sample.classes[numbers]]
    trained = cut.trained
    trained.compile(optimizer=optimizer, loss="categorical_crossentropy", jit_compile=False)
    step = max(waiting, _seconds(lambda: trained.train_on_batch(inputs, labels)))
    watched = _seconds(lambda: trained.test_on_batch(inputs, labels))
    trainable = sum(int(np.prod(weight.shape)) for weight in trained.trainable_weights)
    itemsize = np.dtype(kept_as).itemsize
    return PhaseCosts(seconds, step, watched, shape, itemsize, trainable, int(model.count_params()) - trainable)


def _frozen_seconds(before: Any, source: PictureSource) -> tuple[float, tuple[int, ...]]:
    """Seconds a picture by all cores, augmentation included, and the shape of the output for one."""
    part = Frozen(before)
    count = len(source.pictures)
    parts = [np.arange(start, min(start + PART, count)) for start in range(0, count, PART)]

    def run(numbers: NDArray[np.int64]) -> None:
        part.outputs(source.inputs(0, numbers))

    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(run, parts))
        start = perf_counter()
        list(pool.map(run, parts))
    return (perf_counter() - start) / count, part.shape


def _evaluation(model: Any, sample: LabelledPictures) -> float:
    pixels = sample.preprocessing.finished(sample.stored[:PART]).astype(np.float32)
    return _seconds(lambda: model.predict_on_batch(pixels)) / len(pixels)


def _seconds(call: Callable[[], object]) -> float:
    """The median of a few calls, after one that traces the graph."""
    call()
    taken = []
    for _ in range(STEPS):
        start = perf_counter()
        call()
        taken.append(perf_counter() - start)
    return median(taken)


def _peak_bytes() -> int:
    """The most memory that this process had so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
