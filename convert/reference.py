"""The reference: a Keras model from pixels 0–255 to probabilities, ours or anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.errors import ModelError, first_line
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train import phases


@dataclass(frozen=True)
class Reference:
    """A Keras model with its labels. `notes` says what was added to it so that raw pixels give probabilities."""

    name: str
    model: Any
    labels: tuple[str, ...]
    provenance: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input."""
        height, width = self.model.inputs[0].shape[1:3]
        return int(height), int(width)

    def outputs(self, pictures: LabelledPictures) -> Probabilities:
        """Keras' probabilities on pictures, of shape (images, classes)."""
        return phases.predict(self.model, pictures, "Keras reference")


def load(path: Path, labels: tuple[str, ...], *, input_range: tuple[float, float] = (0.0, 255.0)) -> Reference:
    """Load a Keras classifier, and put scaling in front (and a softmax behind) where it lacks them.

    `input_range` is what the model takes for the bytes 0 and 255. Raises `ModelError` for a file that is no image
    classifier, or whose outputs do not fit the labels.
    """
    model = _read(path)
    _check(model, labels, path)
    notes: list[str] = []
    if input_range != (0.0, 255.0):
        model = _scaled(model, input_range)
        notes.append(f"pixels are scaled to {input_range[0]:g}…{input_range[1]:g} inside the file")
    if not _gives_probabilities(model):
        model = keras.Model(model.inputs, keras.layers.Softmax(name="softmax")(model.outputs[0]), name=model.name)
        notes.append("a softmax is added: the outputs were no probabilities")
    provenance = {"keras_sha256": sha256(path.read_bytes()), "keras": keras.__version__}
    return Reference(model.name, model, labels, provenance, tuple(notes))


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"{path}: no such file. Give a .keras or .h5 model.")
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{path} cannot be loaded by Keras ({first_line(error)[:160]}). Give a .keras or .h5 model."
        ) from None


def _check(model: Any, labels: tuple[str, ...], path: Path) -> None:
    if not getattr(model, "inputs", None):
        raise ModelError(f"{path} does not say what it takes. Give it an input of a fixed size, and save it again.")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(f"{path} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected one each.")
    taken, given = model.inputs[0].shape, model.outputs[0].shape
    if len(taken) != 4 or taken[3] != 3 or None in taken[1:]:
        raise ModelError(f"{path} takes {tuple(taken)}; expected RGB pictures of a fixed size, (None, h, w, 3).")
    if len(given) != 2 or given[1] != len(labels):
        raise ModelError(f"{path} gives {given[-1]} outputs, but there are {len(labels)} labels. Give the right ones.")


def _scaled(model: Any, input_range: tuple[float, float]) -> Any:
    low, high = input_range
    inputs = keras.Input(model.inputs[0].shape[1:], name="raw_pixels")
    scaled = keras.layers.Rescaling((high - low) / 255, offset=low, name="edgeproof_scaling")(inputs)
    return keras.Model(inputs, model(scaled), name=model.name)


def _gives_probabilities(model: Any) -> bool:
    pixels = np.random.default_rng(0).integers(0, 256, (4, *model.inputs[0].shape[1:])).astype(np.float32)
    found = np.asarray(model.predict_on_batch(pixels), np.float64)
    return bool((found >= 0).all() and np.allclose(found.sum(axis=1), 1, atol=1e-3))
