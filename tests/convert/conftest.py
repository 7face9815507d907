"""A Keras classifier of the mean colour, as another user might have trained it: the twin of the tiny model."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeproof.convert import quantiser
from edgeproof.convert.execution import Execution, as_input
from edgeproof.convert.links import MIXING, by_input, makers
from edgeproof.convert.simulation import Simulation
from edgeproof.runtime.graph import Graph


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
def colour_onnx(mean_colour):
    """A model of `mean_colour`, and the ONNX graph that tf2onnx makes of it."""
    pytest.importorskip("tf2onnx", reason="needs the onnx extra")
    from edgeproof.convert import onnx_file

    model = mean_colour()
    return model, onnx_file.export(model)


@pytest.fixture(scope="session")
def answers_as_keras(colour_onnx):
    """Hold a runner's answers to so many pictures, as raw pixels, against those of Keras."""

    def hold(runner, count):
        pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        wanted = colour_onnx[0].predict_on_batch(pixels.astype(np.float32))
        np.testing.assert_allclose(runner.probabilities(pixels), wanted, atol=1e-6)

    return hold


@pytest.fixture(scope="session")
def edgeproof_data() -> Path:
    """The folder with the real data and the stock-recipe model; the test is skipped where it is not named."""
    folder = os.environ.get("EDGEPROOF_DATA", "")
    if not (Path(folder) / "models" / "stock-recipe").is_dir():
        pytest.skip("EDGEPROOF_DATA names no folder with models/stock-recipe")
    return Path(folder)


@pytest.fixture(scope="session")
def ranges_of():
    """Find the least and largest value of every activation of a graph on some pixels."""

    def find(graph, pixels):
        run, found = Execution(graph, as_input(graph, pixels)), {graph.inputs[0]: (0.0, 255.0)}
        for operator in range(len(graph.operators)):
            values = run.advance(operator)
            found[graph.given(operator)] = (min(0.0, float(values.min())), max(0.0, float(values.max())))
        return found

    return find


@pytest.fixture(scope="session")
def simulated(ranges_of):
    """Quantise a graph plainly by its ranges on some pixels, for a simulation of what that does."""
    pytest.importorskip("litert_quantizer", reason="needs the train extra")

    def make(graph, pixels, **options):
        return Simulation(graph, quantiser.static(graph, ranges_of(graph, pixels), **options))

    return make


@pytest.fixture(scope="session")
def spoiled():
    """Scale half of the channels that a layer makes, and make up for it in the weights behind: nothing else changes."""

    def spoil(graph, maker, factors, *, seed=0):
        found, draw = Graph.read(graph.packed()), np.random.default_rng(seed)
        channels = graph.shape(graph.given(maker))[-1]
        scale = np.ones(channels, np.float32)
        scale[draw.permutation(channels)[: channels // 2]] = draw.choice(factors, channels // 2)
        weights, bias = (int(tensor) for tensor in graph.operators[maker].inputs[1:3])
        rows = found.constant(weights)
        by_row = graph.kind(maker) != "DEPTHWISE_CONV_2D"
        found.set_constant(weights, rows * (scale.reshape(-1, *[1] * (rows.ndim - 1)) if by_row else scale))
        found.set_constant(bias, found.constant(bias) * scale)
        for taker, its in makers(graph).items():
            if its == maker and graph.kind(taker) in MIXING:
                tensor = int(graph.operators[taker].inputs[1])
                found.set_constant(tensor, found.constant(tensor) / by_input(graph, taker, scale))
        return found

    return spoil


@pytest.fixture(scope="session")
def digits():
    """Training and test digits at 16×16: the pictures of `digits_model`."""
    pytest.importorskip("sklearn", reason="needs the train extra")
    from edgeproof.runtime.pixels import Preprocessing, Resize
    from edgeproof.train import digits as data

    steps = (Resize(width=8, height=8), Resize(width=16, height=16))
    return data.load(Preprocessing(steps=steps), 0.2, 0)


@pytest.fixture(scope="session")
def digits_model(digits):
    """A classifier of pixels 0–255 with a model inside, batch norm, a depthwise layer and an addition."""
    keras = pytest.importorskip("keras", reason="needs the train extra")
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inner = keras.Input((16, 16, 3))
    hidden = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="first")(inner)
    hidden = kept = layers.ReLU(6.0, name="first_relu")(layers.BatchNormalization(name="first_bn")(hidden))
    hidden = layers.DepthwiseConv2D(3, use_bias=False, name="depth")(layers.ZeroPadding2D(1, name="pad")(hidden))
    hidden = layers.ReLU(6.0, name="depth_relu")(layers.BatchNormalization(name="depth_bn")(hidden))
    hidden = layers.Conv2D(8, 1, use_bias=False, name="point")(hidden)
    hidden = layers.Add(name="add")([kept, layers.BatchNormalization(name="point_bn")(hidden)])
    base = keras.Model(inner, layers.Conv2D(32, 3, strides=2, activation="relu", name="last")(hidden), name="base")
    pixels = keras.Input((16, 16, 3))
    hidden = base(layers.Rescaling(1 / 127.5, offset=-1, name="scale")(pixels))
    hidden = layers.Dropout(0.1)(layers.GlobalAveragePooling2D(name="mean")(hidden))
    model = keras.Model(pixels, layers.Dense(10, activation="softmax", name="answers")(hidden), name="digits")
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    train = digits[0]
    model.fit(train.preprocessing.finished(train.stored), train.classes, batch_size=32, epochs=4, verbose=0)
    return model


# What `toolkit_run` does in a process of its own, given a folder with a job and one for what it finds.
_TOOLKIT_SCRIPT = """
import io, json, pathlib, shutil, sys
import msgspec, numpy as np
from msgspec import structs
from edgeproof.convert import emulation, process, toolkit, twin
from edgeproof.convert.balancing import balanced
from edgeproof.convert.fake_quantisation import converted, trained
from edgeproof.convert.lowering import lowered, without_softmax

folder, found = map(pathlib.Path, sys.argv[1:])
assert toolkit.main(folder) == 0
shutil.copy(folder / "result", found / "trained.tflite")

pixels = np.load(folder / "calibration.npy")
start = balanced(without_softmax(lowered(twin.read(folder))), pixels, toolkit.tf_keras)
ranges = emulation.ranges(start, pixels, toolkit.tf_keras)
student = toolkit.emulated(start, ranges)
np.save(found / "emulated.npy", student(pixels.astype(np.float32), training=False))
layers = {name: student.get_layer(name).layer for name in ("first", "depth", "answers")}
kernels = {name: getattr(layer, toolkit.KERNELS[type(layer).__name__]) for name, layer in layers.items()}
np.savez(found / "kernels.npz", **kernels)
(found / "emulated.tflite").write_bytes(converted(trained(student, start), ranges, toolkit.tf_keras))

job = msgspec.json.decode((folder / "job.json").read_bytes(), type=process.Job)
for name, changes in json.loads(sys.stdin.read()).items():
    settings = structs.replace(job.settings, steps=changes.pop("steps"))
    (folder / "job.json").write_bytes(msgspec.json.encode(structs.replace(job, settings=settings, **changes)))
    assert toolkit.main(folder) == 0
    shutil.copy(folder / "result", found / name)

with np.load(folder / "probe.npz") as probe:
    np.savez(folder / "probe.npz", pixels=probe["pixels"], outputs=probe["outputs"] + 0.25)
assert toolkit.main(folder) == 1
"""


@pytest.fixture(scope="session")
def digits_settings():
    """A training of `digits_model` for int8 that takes a second or two."""
    from edgeproof.convert.finetuning import Finetuning

    return Finetuning(steps=30, batch=32, flip=False, shift=0, learning_rate=1e-3)


@pytest.fixture(scope="session")
def digits_calibration(digits):
    """Pixels of 60 training digits."""
    return digits[0].preprocessing.finished(digits[0].stored[:60])


@pytest.fixture(scope="session")
def toolkit_run(digits_model, digits, digits_settings, digits_calibration, tmp_path_factory):
    """One process of the toolkit that does all of its jobs on `digits_model`, and the folder with what they gave."""
    process = _with_toolkit()
    folder, found = tmp_path_factory.mktemp("job"), tmp_path_factory.mktemp("toolkit")
    preprocessing, labels = digits[0].preprocessing, digits[0].labels
    job = process.Job(task="quantise", settings=digits_settings, preprocessing=preprocessing, labels=labels)
    process.fill(folder, job, digits_model, digits[0], digits_calibration)
    others = {
        "integers.tflite": {"task": "quantise", "output": "uint8", "steps": 0},
        "pruned.npz": {"task": "prune", "sparsity": 0.75, "steps": 30},
        "clustered.npz": {"task": "cluster", "clusters": 8, "steps": 10},
    }
    run = subprocess.run(
        [sys.executable, "-c", _TOOLKIT_SCRIPT, folder, found],
        input=json.dumps(others),
        capture_output=True,
        text=True,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert run.returncode == 0, run.stderr
    (found / "stdout").write_text(run.stdout)
    return found


def _with_toolkit():
    if importlib.util.find_spec("tensorflow_model_optimization") is None:
        pytest.skip("tensorflow_model_optimization is not installed: needs the qat extra")
    from edgeproof.convert import process

    return process
