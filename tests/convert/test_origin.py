"""Files and the Keras models that they were made from, or not."""

import io
import zipfile

import numpy as np
import pytest

pytest.importorskip("h5py", reason="needs the train extra (h5py)")
import h5py
from msgspec import structs

from edgeproof.convert import origin
from edgeproof.runtime import modelfile
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.modelfile import ModelFile

CLASSES, INPUTS = 4, 32


@pytest.fixture
def kernel():
    return np.random.default_rng(0).normal(0, 1, (INPUTS, CLASSES)).astype(np.float32)


@pytest.fixture
def keras_file(kernel, tmp_path):
    """What Keras 3 saves: a zip with an HDF5 file of weights in it."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["layers/dense/vars/0"], file["layers/dense/vars/1"] = kernel, np.zeros(CLASSES)
        file["layers/other/vars/0"] = np.zeros((7, 9))
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


@pytest.fixture
def made_of(new_layers, tmp_path):
    """Make a file with this last layer, of shape (classes, inputs), without a contract."""

    def make(rows):
        layers = new_layers(8)
        first = layers.conv(layers.pixels, np.ones((rows.shape[1], 1, 1, 3)), np.zeros(rows.shape[1]))
        graph = layers.graph(layers.softmax(layers.dense(layers.mean(first), rows, np.zeros(len(rows)))))
        return ModelFile(tmp_path / "m.tflite", graph.packed(), {}, None, None)

    return make


def test_the_same_weights_are_the_same_model_without_any_record(made_of, kernel, keras_file):
    found = origin.compare(made_of(kernel.T), keras_file)
    assert found.same is True
    assert found.evidence["head_relative_distance"] < 1e-6


def test_inputs_that_equalisation_scaled_are_the_same_weights(made_of, kernel, keras_file):
    scales = np.exp(np.random.default_rng(1).normal(0, 1, INPUTS))
    assert origin.compare(made_of(kernel.T * scales), keras_file).same is True


def test_weights_of_half_precision_are_the_same_and_those_of_another_epoch_are_not(made_of, kernel, keras_file):
    assert origin.compare(made_of(kernel.T.astype(np.float16).astype(np.float32)), keras_file).same is True
    later = kernel.T * (1 + 0.01 * np.random.default_rng(2).normal(0, 1, kernel.T.shape))
    found = origin.compare(made_of(later), keras_file)
    assert found.same is False
    assert 0.005 < found.evidence["head_relative_distance"] < 0.02


def test_a_layer_of_another_shape_tells_nothing(made_of, keras_file):
    assert origin.compare(made_of(np.ones((CLASSES, INPUTS + 1), np.float32)), keras_file).same is None


def test_a_keras_file_that_cannot_be_read_tells_nothing(made_of, kernel, tmp_path):
    (tmp_path / "broken.keras").write_bytes(b"PK\x03\x04 nothing")
    assert origin.compare(made_of(kernel.T), tmp_path / "broken.keras").same is None


def test_a_record_of_the_very_file_settles_it_and_another_record_leaves_it_to_the_weights(
    made_of, kernel, keras_file, tiny_model_path
):
    contract = modelfile.read(tiny_model_path).contract

    def recorded(rows, sha, recipe="float32"):
        file = made_of(rows)
        described = structs.replace(contract, provenance={"keras_sha256": sha}, recipe=recipe)
        return ModelFile(file.path, file.flatbuffer, {}, described, None)

    own = sha256(keras_file.read_bytes())
    assert origin.compare(recorded(-(kernel.T**2), own), keras_file).same is True
    assert origin.compare(recorded(kernel.T, "0" * 64), keras_file).same is True  # saved again
    assert origin.compare(recorded(-(kernel.T**2), "0" * 64), keras_file).same is False
    assert origin.compare(recorded(kernel.T, "0" * 64, recipe="int8-qat"), keras_file).same is False


def test_an_integer_file_of_a_run_is_known_by_its_weights_and_by_another_runs_it_is_not(
    colour_run, colour_exports, tmp_path
):
    """Also the repaired int8 file, whose rounding was chosen by what each layer gives."""
    content = colour_run.model.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    (tmp_path / "later.weights.h5").write_bytes(weights.getvalue())
    with h5py.File(tmp_path / "later.weights.h5", "r+") as file:
        draw = np.random.default_rng(3)
        names = []
        file.visititems(lambda name, item: names.append(name) if getattr(item, "ndim", 0) == 2 else None)
        for name in names:
            values = file[name][...]
            file[name][...] = values + 0.2 * values.std() * draw.normal(0, 1, values.shape)
    for recipe in ("float32", "int8"):
        file = modelfile.read(colour_exports / f"colours-{recipe}.tflite")
        unrecorded = ModelFile(file.path, file.flatbuffer, {}, None, file.labels)
        assert origin.compare(unrecorded, colour_run.model).same is True
        assert origin.compare(unrecorded, tmp_path / "later.weights.h5").same is False
