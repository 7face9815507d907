"""Where a conversion starts: a run folder, or anybody's Keras model with labels and pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from edgeproof.convert import calibration, reference
from edgeproof.convert.admission import admit
from edgeproof.convert.calibration import CalibrationSet
from edgeproof.convert.reference import Reference
from edgeproof.convert.verification import Evidence
from edgeproof.runtime import labels as label_files
from edgeproof.runtime.contract import digest, sha256
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train import dataset
from edgeproof.train.config import Config, Data, dump
from edgeproof.train.run import Run, open_complete


@dataclass(frozen=True)
class Inputs:
    """A Keras model, the training pictures that calibrate, and the evidence that verifies."""

    reference: Reference
    train: LabelledPictures
    evidence: Evidence


def calibrate(
    given: Inputs, *, record: Path, images: int = calibration.DEFAULT_IMAGES, seed: int = 0, own: Path | None = None
) -> CalibrationSet:
    """Choose calibration pictures, refuse what proves nothing, and write the list to `record`.

    They are training pictures that are not in the test set, or, with `own`, a user's. Raises `DataError`.
    """
    test = given.evidence.test
    if own is None:
        chosen = calibration.choose(given.train, images=images, seed=seed, exclude=test.hashes)
    else:
        chosen = calibration.load(
            own, labels=given.reference.labels, preprocessing=test.preprocessing, images=images, seed=seed
        )
    admit(chosen, test=test, size=given.reference.size, classes=len(given.reference.labels))
    chosen.write(record)
    return chosen


def from_run(folder: str | Path) -> Inputs:
    """Take all from a complete run folder; its kept reference outputs are used when they belong to its model.

    Raises `DataError` when the folder is no complete run, or its data set has changed since.
    """
    run = open_complete(folder)
    settings = run.read_config()
    found = reference.load(run.model, run.read_labels())
    data = dataset.load(settings.data, size=settings.network.size, seed=settings.seed, near=False)
    test = run.read_pictures()
    if digest(data.test.hashes) != digest(test.hashes):
        raise DataError(
            f"{settings.data.source} has changed since {folder} was trained: other test pictures. Train again."
        )
    outputs = run.read_predictions(test)
    if outputs is None:
        outputs = found.outputs(test)
    return Inputs(_with_settings(found, run), data.train, Evidence(test, outputs))


def from_keras(
    model: Path,
    *,
    labels: Path,
    data: Data,
    input_range: tuple[float, float],
    seed: int,
) -> Inputs:
    """Take a Keras model file; its outputs on the test pictures are computed here.

    `data` also says how pictures are brought to the model's size. `input_range` is what it takes for the bytes 0 and
    255. Raises `ModelError` or `DataError`.
    """
    found = reference.load(model, label_files.read(labels), input_range=input_range)
    height, width = found.size
    if height != width:
        raise DataError(f"{model} takes pictures of {height}×{width}; only square inputs can be prepared yet.")
    pictures = dataset.load(data, size=height, seed=seed, near=False)
    if set(pictures.labels) != set(found.labels):
        missing = sorted(set(found.labels) ^ set(pictures.labels))[:3]
        raise DataError(
            f"{labels} and the classes in {data.source} do not match (such as {', '.join(missing)}). Use the same."
        )
    train, test = (part.relabelled(found.labels) for part in (pictures.train, pictures.test))
    return Inputs(found, train, Evidence(test, found.outputs(test)))


def _with_settings(found: Reference, run: Run) -> Reference:
    settings = _without_places(run.read_config())
    provenance = {
        **found.provenance,
        "data": settings.data.source,
        "weights": settings.network.weights,
        "config_sha256": sha256(dump(settings).encode()),
        "seed": str(settings.seed),
    }
    return replace(found, provenance=provenance)


def _without_places(settings: Config) -> Config:
    """The settings with names for paths: the same training on another machine gives the same file."""
    data, network = settings.data, settings.network
    test = Path(data.test).name if data.test is not None else None
    return structs.replace(
        settings,
        data=structs.replace(data, source=Path(data.source).name, test=test),
        network=structs.replace(network, weights=Path(network.weights).name),
    )
