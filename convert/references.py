"""What files are held against: a run's kept answers, or those of a Keras model, computed once and kept."""

from __future__ import annotations

import io
import logging
import os
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edgeproof.convert.verification import Evidence
from edgeproof.runtime import labelled, testset
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.atomic import replacing
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.errors import DataError, ModelError
from edgeproof.runtime.labelled import Archive, LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import dataset, folders
from edgeproof.train.config import Data
from edgeproof.train.run import open_complete

if TYPE_CHECKING:
    from edgeproof.convert.reference import Reference

logger = logging.getLogger(__name__)
RAW = (0.0, 255.0)


def of_run(folder: str | Path, *, data: str | Path | None = None) -> Evidence:
    """A complete run's test pictures with the outputs that it keeps, without TensorFlow; or other pictures.

    For `data`, a folder, a zip or a run, the run's Keras model answers, once. Raises `DataError` when the folder is
    no complete run, its reference belongs to another model, or the data have other classes.
    """
    run = open_complete(folder)
    own = run.read_pictures()
    if data is not None:
        pictures = _pictures(data, own.preprocessing, run.read_labels())
        return Evidence(pictures, _answers(run.model, pictures, RAW), run.model)
    kept = run.read_predictions(own)
    if kept is None:
        raise DataError(f"{run.predictions} does not belong to {run.model.name} and test.npz. Train again.")
    return Evidence(own, kept, run.model)


def of_model(
    model: str | Path,
    *,
    labels: tuple[str, ...],
    data: str | Path,
    preprocessing: Preprocessing | None = None,
    input_range: tuple[float, float] = RAW,
) -> Evidence:
    """Pictures with the outputs of a `.keras` or `.h5` model of these labels, computed once.

    Pictures are prepared so, or, without `preprocessing`, as `preprocessing_of` says for the model's own size, which
    TensorFlow must tell. `input_range` is what the model takes for the bytes 0 and 255. Raises `ModelError` for a
    model that does not fit.
    """
    path = Path(model)
    if not path.is_file():
        raise ModelError(f"{path}: no such file. Give a run folder, or a .keras or .h5 model.")
    loaded = None
    if preprocessing is None:
        loaded = _load(path, labels, input_range)
        preprocessing = preprocessing_of(data, loaded.size[0])
    pictures = _pictures(data, preprocessing, labels)
    return Evidence(pictures, _answers(path, pictures, input_range, loaded), path)


def preprocessing_of(data: str | Path, size: int) -> Preprocessing:
    """How pictures come to a model of `size` pixels that says nothing of it: as in training, small ones in two steps.

    Raises `DataError` when there are no pictures.
    """
    path = Path(data)
    if path.suffix == ".npz" or (path / testset.NAME).is_file():
        return Preprocessing(steps=(Resize(width=size, height=size),))  # they bring their own
    archive = Archive(path)
    side = folders.common_size(archive, labelled.judged(labelled.find(archive)))
    return dataset.chain(side, size, Data(source=str(data)))


def kept_at(model: Path, pictures: LabelledPictures, input_range: tuple[float, float]) -> Path:
    """Where the outputs are kept: below XDG_CACHE_HOME, under a hash of all that they depend on."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    parts = (sha256(model.read_bytes()), pictures.hashes, pictures.labels, pictures.preprocessing, input_range)
    return Path(home) / "edgeproof" / "references" / f"{sha256(msgspec.json.encode(parts))}.npz"


def _pictures(data: str | Path, preprocessing: Preprocessing, labels: tuple[str, ...]) -> LabelledPictures:
    found = testset.load(data, preprocessing, labels)
    if set(found.labels) != set(labels):
        other = sorted(set(found.labels) ^ set(labels))[0]
        raise DataError(f"{data} and the reference have other labels (such as '{other}'). Give matching data.")
    return found if found.labels == labels else found.relabelled(labels)


def _answers(
    model: Path, pictures: LabelledPictures, input_range: tuple[float, float], loaded: Reference | None = None
) -> Probabilities:
    """The model's outputs, from where they are kept, or computed and kept."""
    place = kept_at(model, pictures, input_range)
    kept = _read(place, (len(pictures), len(pictures.labels)))
    if kept is not None:
        return kept
    found = loaded or _load(model, pictures.labels, input_range)
    if found.size != pictures.preprocessing.input_size:
        raise ModelError(f"{model} takes {found.size} pixels, the files {pictures.preprocessing.input_size}.")
    outputs = found.outputs(pictures)
    try:
        with replacing(place) as temporary:
            np.savez_compressed(temporary, outputs=outputs)
    except DataError as error:
        logger.warning("the reference's answers are not kept: %s", error)
    return outputs


def _load(model: Path, labels: tuple[str, ...], input_range: tuple[float, float]) -> Reference:
    with silenced(), warnings.catch_warnings(action="ignore"):
        from edgeproof.convert import reference  # TensorFlow, which kept answers do without

        return reference.load(model, labels, input_range=input_range)


def _read(place: Path, shape: tuple[int, int]) -> Probabilities | None:
    """What is kept there; None when there is nothing, or it is damaged."""
    try:
        with np.load(io.BytesIO(place.read_bytes()), allow_pickle=False) as arrays:
            found = arrays["outputs"]
    except (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile):
        return None
    return found if found.shape == shape and found.dtype == np.float32 else None
