"""A Keras classifier of the mean colour, as another user might have trained it: the twin of the tiny model."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def mean_colour():
    """Make a model of pixels 0–255 and 8×8 that tells red, green, blue and grey; options change its head and input."""
    keras = pytest.importorskip("keras", reason="needs the train extra")

    def make(*, activation="softmax", input_range=(0.0, 255.0), size=8, classes=4, form="functional"):
        low, high = input_range
        inputs = keras.Input((size, size, 3))
        # Undoes the scaling that the model expects of its caller.
        pixels = keras.layers.Rescaling(255 / (high - low), offset=-low * 255 / (high - low))(inputs)
        hidden = keras.layers.Conv2D(3, 1, name="same", activation="relu")(pixels)
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
        head = keras.layers.Dense(classes, activation=activation, name="answers")
        model = keras.Model(inputs, head(hidden), name="mean_colour")
        weights = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2], [0, 0, 0]], np.float32).T / 32
        model.get_layer("same").set_weights([np.eye(3, dtype=np.float32)[np.newaxis, np.newaxis], np.zeros(3)])
        head.set_weights([weights[:, :classes], np.array([0, 0, 0, 1.5], np.float32)[:classes]])
        if form == "nested":
            outside = keras.Input((size, size, 3))
            return keras.Model(outside, model(outside), name="outside")
        if form == "sequential":
            return keras.Sequential([keras.Input((size, size, 3)), *model.layers[1:]], name="in_a_row")
        return model

    return make


@pytest.fixture
def saved(mean_colour, tmp_path):
    """Save a model of `mean_colour` and return its path."""

    def save(*, name="model.keras", **options):
        mean_colour(**options).save(tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture(scope="session")
def edgeproof_data() -> Path:
    """The folder with the real data and the stock-recipe model; the test is skipped where it is not named."""
    folder = os.environ.get("EDGEPROOF_DATA", "")
    if not (Path(folder) / "models" / "stock-recipe").is_dir():
        pytest.skip("EDGEPROOF_DATA names no folder with models/stock-recipe")
    return Path(folder)
