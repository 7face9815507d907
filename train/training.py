"""The training as a whole: data, two phases with checkpoints, evaluation, and the run folder."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from msgspec.structs import astuple
from numpy.typing import NDArray

from edgeproof.runtime import testset
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.atomic import replacing, writable_folder, write_text
from edgeproof.runtime.contract import digest
from edgeproof.runtime.errors import ConfigError, DataError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.labels import text as labels_text
from edgeproof.train import (
    checkpoints,
    config,
    dataset,
    distribution,
    evaluation,
    history,
    network,
    phases,
    plots,
    stopping,
)
from edgeproof.train.dataset import Dataset
from edgeproof.train.evaluation import ClassScore, Metrics
from edgeproof.train.history import Epoch
from edgeproof.train.keeping import Keeper
from edgeproof.train.run import Run, table, write_json
from edgeproof.train.split import balanced_sample, stratified

logger = logging.getLogger(__name__)


# Said when a signal comes while no step is under way.
STOPPED = "stopped; every finished epoch is saved, and the same command goes on from there"


def train(
    settings: config.Config,
    out: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = True,
    deterministic: bool = False,
    memory: int | None = None,
    sample_class: str = "",
) -> Run:
    """Train into the run folder `out`, and return it; an unfinished run of the same settings is resumed.

    Without `resume` it is started afresh. A finished run of the same settings is left as it is. `deterministic` makes
    TensorFlow compute the same bits each time, in this process from now on. Decoded pictures that would take more than
    their share of `memory`, in bytes, lie in a file. `sample_class` names the class of plots/samples.png. Raises
    `ConfigError` when `out` holds a run of other settings and not `overwrite`, `DataError`, and `Stopped` on SIGTERM
    and SIGINT, with the work saved.
    """
    run = Run(Path(out))
    with stopping.at_once(STOPPED):
        if not _settled(run, settings, overwrite=overwrite, resume=resume):
            _train(run, settings, deterministic=deterministic, memory=memory, sample_class=sample_class)
        elif sample_class:
            redraw_samples(run, sample_class)
    return run


def _train(run: Run, settings: config.Config, *, deterministic: bool, memory: int | None, sample_class: str) -> None:
    # First of all, since TensorFlow has to know its cluster before it computes anything.
    distribution.strategy()
    is_chief = distribution.is_chief()
    if is_chief:
        writable_folder(run.folder)
        run.clean()
    keras.utils.set_random_seed(settings.seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    with distribution.folder(run) as place:
        data = dataset.load(
            settings.data, size=settings.network.size, seed=settings.seed, memory=memory, cache=place.cache
        )
        _check_class(sample_class, data.labels)
        if is_chief:
            _check_unchanged(run, data)
            write_text(run.config, config.dump(settings))
            _write_data(run, data)
        model, epochs = _fit(place, data, settings)
        if is_chief:
            _write_model(run, model, data, epochs, sample_class)


def _write_model(run: Run, model: Any, data: Dataset, epochs: Sequence[Epoch], sample_class: str) -> None:
    with replacing(run.model) as temporary:
        keras.Model(model.inputs, model.outputs, name=model.name).save(temporary)
    history.write(run.history, epochs)
    finish(run, model, data.test, epochs, sample_class=sample_class)
    run.clean()


def finish(run: Run, model: Any, test: LabelledPictures, epochs: Sequence[Epoch], *, sample_class: str = "") -> Metrics:
    """Evaluate on the test set, write the reference outputs, plots, and last of all the metrics."""
    probabilities = phases.predict(model, test, "Evaluation")
    run.write_predictions(probabilities, test)
    matrix = evaluation.confusion(probabilities, test.classes)
    plots.learning_curves(epochs, run.plots / "learning_curves.png")
    plots.confusion_matrix(matrix, test.labels, run.plots / "confusion_matrix.png")
    draw_samples(run, test, probabilities, sample_class)
    metrics = evaluation.evaluate(probabilities, test.classes, test.labels)
    write_text(run.folder / "classes.csv", table(ClassScore.__struct_fields__, list(map(astuple, metrics.classes))))
    write_text(run.folder / "confusion.csv", _confusion_table(matrix, test.labels))
    # The metrics go last: a folder that has them is complete.
    write_json(run.metrics, metrics)
    logger.info("test top-1 %.2f %%, top-5 %.2f %%", 100 * metrics.top1, 100 * metrics.top5)
    return metrics


def draw_samples(run: Run, test: LabelledPictures, probabilities: Probabilities, label: str) -> None:
    """Draw test pictures of one class, or of all classes in turn when `label` is empty."""
    if label:
        chosen = np.flatnonzero(test.classes == test.labels.index(label))[:24]
    else:
        chosen = balanced_sample(test.classes, 24, seed=0)
    title = f"Test pictures of class '{label}'" if label else "Test pictures of all classes"
    plots.samples(test.take(chosen), probabilities[chosen], run.plots / "samples.png", title=title)


def redraw_samples(run: Run, label: str) -> None:
    """Draw plots/samples.png of a complete run again, for another class. Raises `ConfigError` for an unknown one."""
    test = run.read_pictures()
    _check_class(label, test.labels)
    probabilities = run.read_predictions(test)
    if probabilities is None:
        raise DataError(f"{run.predictions} does not belong to this run's model. Train again with --overwrite.")
    draw_samples(run, test, probabilities, label)


def _check_class(label: str, labels: Sequence[str]) -> None:
    if label and label not in labels:
        close = difflib.get_close_matches(label, labels, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Known are {', '.join(labels[:8])} …"
        raise ConfigError(f"--class {label}: no such class. {hint}")


def _check_unchanged(run: Run, data: Dataset) -> None:
    """Refuse to go on with other pictures than those that an unfinished run began with."""
    if not checkpoints.there(run.checkpoints) or not run.test.is_file():
        return
    labels, hashes = testset.read_identity(run.test)
    if labels != data.labels or digest(hashes) != digest(data.test.hashes):
        raise DataError(f"{run.folder} was begun with other pictures. Put them back, or start afresh with --overwrite.")


def _confusion_table(matrix: NDArray[np.int64], labels: Sequence[str]) -> str:
    rows = [(label, *counts) for label, counts in zip(labels, matrix.tolist(), strict=True)]
    return table(("true class", *labels), rows)


def _settled(run: Run, settings: config.Config, *, overwrite: bool, resume: bool) -> bool:
    """Whether there is nothing left to do; clears the folder or refuses it where it holds another run."""
    if not run.config.is_file():
        return False
    if overwrite:
        logger.info("%s: starting afresh, the earlier run is removed", run.folder)
        _clear(run)
        return False
    if run.read_config() != settings:
        raise ConfigError(f"{run.folder} holds a run of other settings. Give another --out, or --overwrite.")
    if run.is_complete:
        logger.info("%s is complete already; --overwrite trains it again", run.folder)
        run.clean()
        return True
    if not checkpoints.there(run.checkpoints):
        logger.info("%s holds an unfinished run without a checkpoint; starting afresh", run.folder)
    elif not resume:
        logger.info("%s: starting afresh, the checkpoints of the unfinished run are removed", run.folder)
        _clear(run)
    return False


def _clear(run: Run) -> None:
    if distribution.is_chief():
        run.clear()


def _write_data(run: Run, data: Dataset) -> None:
    write_text(run.labels, labels_text(data.labels))
    run.write_pictures(data.test)
    write_json(run.folder / "data.json", data.report)


def _fit(run: Run, data: Dataset, settings: config.Config) -> tuple[Any, list[Epoch]]:
    """Both phases, from the newest checkpoint where there is one."""
    rest, held_back = stratified(data.train.classes, settings.data.validation_share, settings.seed)
    material = phases.Material(data.train, data.test, "test", run.cache)
    if settings.data.validation_share:
        material = phases.Material(data.train.take(rest), data.train.take(held_back), "validation", run.cache)
    model = distribution.built(lambda: network.build(settings.network, len(data.labels)))
    keeper = Keeper(run)
    phases.train_head(model, material, settings, keeper)
    phases.finetune(model, material, settings, keeper)
    keeper.close()
    return distribution.local(model), keeper.epochs
