"""A 2 kB classifier, made without TensorFlow, that tells red, green, blue and grey pictures apart.

The mean colour of a picture goes through one fully connected layer and a softmax. Tests get it as bytes or as
a file, in float32 or with uint8 input and output, and with the contract and labels of a shipped file.
"""

import importlib.util
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image

from edgeproof import cli
from edgeproof.runtime import contract, labels, modelfile, progress
from edgeproof.runtime.contract import Contract, Quantisation, TensorFormat, Verification
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.runtime.stored import View

# Tests load other makers' runtimes as clients do; they report nothing to anybody either.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.modules.setdefault("openvino_telemetry", None)

LABELS = ("red", "green", "blue", "grey")
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (120, 120, 120))
SIZE = 8
# One row a class over the mean of red, green and blue; grey wins by its bias where no colour stands out.
WEIGHTS = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2], [0, 0, 0]], np.float32) / 32
BIAS = np.array([0, 0, 0, 1.5], np.float32)


@dataclass
class GraphParts:
    """The lists of a flatbuffer's model while it is built; an index into `tensors` names a tensor."""

    tensors: list
    buffers: list
    codes: list
    operators: list

    def tensor(self, name, shape, kind=schema.TensorType.FLOAT32, *, values=None, scale=None, zero_point=0):
        buffer = schema.BufferT()
        if values is not None:
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append(buffer)
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, len(self.buffers) - 1
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(self, builtin, inputs, output, options_type=0, options=None):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.codes) - 1, inputs, [output]
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        self.operators.append(operator)
        return output

    def packed(self, first, *last):
        graph, model = schema.SubGraphT(), schema.ModelT()
        graph.name, graph.tensors, graph.operators = "main", self.tensors, self.operators
        graph.inputs, graph.outputs = [first], list(last)
        model.version, model.description = 3, "tiny"
        model.operatorCodes, model.subgraphs, model.buffers = self.codes, [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def flatbuffer(*, quantised: bool, weights=WEIGHTS, bias=BIAS) -> bytes:
    """The graph without attachments; `quantised` takes and gives uint8, with float arithmetic in between."""
    parts = GraphParts([], [schema.BufferT()], [], [])
    ops, kinds, options = schema.BuiltinOperator, schema.TensorType, schema.BuiltinOptions
    classes = len(weights)
    shape = [1, SIZE, SIZE, 3]
    if quantised:
        first = parts.tensor("pixels", shape, kinds.UINT8, scale=1.0)
        image = parts.operator(ops.DEQUANTIZE, [first], parts.tensor("image", shape))
    else:
        first = image = parts.tensor("pixels", shape)
    axes = parts.tensor("axes", [2], kinds.INT32, values=np.array([1, 2], np.int32))
    mean = parts.operator(
        ops.MEAN,
        [image, axes],
        parts.tensor("mean", [1, 3]),
        options.ReducerOptions,
        schema.ReducerOptionsT(),
    )
    layer = [
        mean,
        parts.tensor("weights", [classes, 3], values=weights),
        parts.tensor("bias", [classes], values=bias),
    ]
    logits = parts.operator(
        ops.FULLY_CONNECTED,
        layer,
        parts.tensor("logits", [1, classes]),
        options.FullyConnectedOptions,
        schema.FullyConnectedOptionsT(),
    )
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    last = parts.operator(ops.SOFTMAX, [logits], parts.tensor("softmax", [1, classes]), options.SoftmaxOptions, softmax)
    if quantised:
        given = parts.tensor("probabilities", [1, classes], kinds.UINT8, scale=1 / 256)
        last = parts.operator(ops.QUANTIZE, [last], given)
    return parts.packed(first, last)


def packed(content: bytes, *, quantised: bool, names=LABELS, verification: Verification | None = None) -> bytes:
    """A flatbuffer of `flatbuffer` with the labels and the contract of a shipped file."""
    texts = labels.text(names).encode()
    dtype = "uint8" if quantised else "float32"
    scales = ((1.0, 1 / 256), (0, 0)) if quantised else ((None, None), (None, None))
    tensors = [
        TensorFormat(name=name, shape=shape, dtype=dtype, scale=scale, zero_point=zero_point)
        for name, shape, scale, zero_point in zip(
            ("pixels", "probabilities" if quantised else "softmax"),
            ((1, SIZE, SIZE, 3), (1, len(names))),
            *scales,
            strict=True,
        )
    ]
    described = Contract(
        name="tiny",
        recipe="int8" if quantised else "float32",
        preprocessing=Preprocessing(steps=(Resize(width=4, height=4), Resize(width=SIZE, height=SIZE))),
        labels_sha256=contract.sha256(texts),
        model_sha256=contract.sha256(content),
        input=tensors[0],
        output=tensors[1],
        quantisation=Quantisation(operators=3, float_operators=3, per_channel_weights=0, per_tensor_weights=0),
        verification=verification,
        provenance={"edgeproof": "test"},
    )
    return modelfile.pack(content, {contract.LABELS_NAME: texts, contract.CONTRACT_NAME: contract.encode(described)})


VERIFICATION = Verification(
    images=200,
    images_digest="0" * 64,
    reference_top1=0.95,
    reference_top5=1.0,
    top1=0.94,
    top1_interval=(0.898, 0.965),
    top5=1.0,
    drop_points=1.0,
    same_answers=0.985,
    different_answers=3,
    largest_margin_of_a_different_answer=0.02,
    ties=0,
)


@pytest.fixture(autouse=True)
def no_command_line_before(monkeypatch):
    """Undo what a command line does to its process: tests run in any order, and some commands were quiet."""
    monkeypatch.setattr(progress, "_quiet", False)
    # Now, and not afterwards: a fixture of many tests may have run a command before this test began.
    logger = logging.getLogger("edgeproof")
    monkeypatch.setattr(logger, "handlers", [])
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def tiny_flatbuffer() -> bytes:
    """The float32 graph alone, as another tool might have written it."""
    return flatbuffer(quantised=False)


@pytest.fixture(scope="session")
def tiny_model_bytes(tiny_flatbuffer) -> bytes:
    """The float32 file as edgeproof ships it, not verified against a Keras model."""
    return packed(tiny_flatbuffer, quantised=False)


@pytest.fixture(scope="session")
def tiny_int8_bytes() -> bytes:
    """The file with uint8 input and output, with a contract that holds a verification."""
    return packed(flatbuffer(quantised=True), quantised=True, verification=VERIFICATION)


@pytest.fixture
def tiny_model_path(tiny_model_bytes, tmp_path) -> Path:
    """A float32 file of the test's own: it may be changed."""
    path = tmp_path / "tiny-float32.tflite"
    path.write_bytes(tiny_model_bytes)
    return path


@pytest.fixture
def tiny_int8_path(tiny_int8_bytes, tmp_path) -> Path:
    """An int8 file of the test's own: it may be changed."""
    path = tmp_path / "tiny-int8.tflite"
    path.write_bytes(tiny_int8_bytes)
    return path


@pytest.fixture(scope="session")
def tiny_pictures() -> LabelledPictures:
    """Forty noisy 4×4 pictures, ten a colour, of which the last one of every colour bears a wrong label."""
    generator = np.random.default_rng(20)
    true = np.repeat(np.arange(4), 10)
    noise = generator.integers(-30, 31, (40, 4, 4, 3))
    stored = (np.array(COLOURS)[true][:, np.newaxis, np.newaxis] + noise).clip(0, 255).astype(np.uint8)
    classes = true.copy()
    classes[9::10] = (classes[9::10] + 1) % 4
    return LabelledPictures(
        labels=LABELS,
        names=tuple(f"{LABELS[c]}/{i}.png" for i, c in enumerate(classes)),
        classes=classes.astype(np.int64),
        stored=stored,
        hashes=tuple(contract.sha256(picture.tobytes()) for picture in stored),
        preprocessing=Preprocessing(steps=(Resize(width=4, height=4), Resize(width=SIZE, height=SIZE))),
    )


@pytest.fixture(scope="session")
def make_flatbuffer():
    """`flatbuffer`, for tests that want other weights or another number of classes."""
    return flatbuffer


@pytest.fixture(scope="session")
def make_packed():
    """`packed`, for tests that change a part before it is packed."""
    return packed


@pytest.fixture(scope="session")
def new_graph():
    """Start an empty graph, for models that are no image classifiers."""
    return lambda: GraphParts([], [schema.BufferT()], [], [])


# --- float graphs of a few layers, made without TensorFlow ----------------------------------------------------------


class Layers:
    """A float graph from pixels 0–255, layer by layer; each method gives the number of its output tensor."""

    def __init__(self, parts, size):
        self.parts, self.pixels = parts, parts.tensor("pixels", [1, size, size, 3])

    def conv(self, taken, weights, bias, *, stride=1, dilation=1, activation="NONE", same=True, depthwise=False):
        """Weights of shape (outputs, height, width, inputs), or (1, height, width, channels) of depthwise filters."""
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = dilation
        options.padding = schema.Padding.SAME if same else schema.Padding.VALID
        if depthwise:
            options.depthMultiplier = 1
        reach = [(each - 1) * dilation + 1 for each in weights.shape[1:3]]
        lengths = self.parts.tensors[taken].shape[1:3]
        sides = [-(-n // stride) if same else (n - r) // stride + 1 for n, r in zip(lengths, reach, strict=True)]
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        shape = [1, *sides, weights.shape[3] if depthwise else len(weights)]
        return self._layer(kind, taken, weights, bias, shape, options, activation)

    def depthwise(self, taken, weights, bias, **options):
        return self.conv(taken, weights, bias, depthwise=True, **options)

    def dense(self, taken, weights, bias, *, activation="NONE"):
        options = schema.FullyConnectedOptionsT()
        return self._layer("FULLY_CONNECTED", taken, weights, bias, [1, len(weights)], options, activation)

    def add(self, one, other, *, activation="NONE"):
        options = schema.AddOptionsT()
        options.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
        return self._operator("ADD", [one, other], self.parts.tensors[one].shape, options)

    def mean(self, taken):
        axes = self.parts.tensor("axes", [2], schema.TensorType.INT32, values=np.array([1, 2], np.int32))
        channels = self.parts.tensors[taken].shape[3]
        return self._operator("MEAN", [taken, axes], [1, channels], schema.ReducerOptionsT())

    def reshape(self, taken, shape):
        wanted = self.parts.tensor("shape", [len(shape)], schema.TensorType.INT32, values=np.array(shape, np.int32))
        return self._operator("RESHAPE", [taken, wanted], list(shape), schema.ReshapeOptionsT())

    def softmax(self, taken):
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        return self._operator("SOFTMAX", [taken], self.parts.tensors[taken].shape, options)

    def constant(self, values):
        """Numbers that several layers may share; pass what this gives for their weights."""
        return self.parts.tensor(f"constant{len(self.parts.tensors)}", list(values.shape), values=np.float32(values))

    def graph(self, *given):
        return Graph.read(self.parts.packed(self.pixels, *given))

    def _layer(self, kind, taken, weights, bias, shape, options, activation):
        options.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
        inputs = [taken, self.constant(weights), -1 if bias is None else self.constant(bias)]
        return self._operator(kind, inputs, shape, options)

    def _operator(self, kind, inputs, shape, options):
        name = f"{kind.lower()}{len(self.parts.operators)}"
        class_name = type(options).__name__.removesuffix("T")
        builtin, options_type = getattr(schema.BuiltinOperator, kind), getattr(schema.BuiltinOptions, class_name)
        given = self.parts.tensor(name, [int(side) for side in shape])
        return self.parts.operator(builtin, inputs, given, options_type, options)


@pytest.fixture(scope="session")
def new_layers(new_graph):
    """Start a float graph that takes pixels of a size."""
    return lambda size: Layers(new_graph(), size)


@pytest.fixture(scope="session")
def coloured():
    """Make noisy pictures of a size, of as many hues as there are classes, in turn."""

    def make(count, size, *, seed=0, classes=4):
        draw = np.random.default_rng(seed)
        hues = np.random.default_rng(9).integers(50, 206, (classes, 1, 1, 3))[np.arange(count) % classes]
        patches = np.kron(draw.normal(0, 25, (count, 4, 4, 3)), np.ones((1, size // 4, size // 4, 1)))
        return (hues + patches + draw.normal(0, 10, (count, size, size, 3))).clip(0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def residual(new_layers, coloured):
    """Make a small MobileNetV2 of 16×16 pixels with uneven channels, whose head tells the hues of `coloured` apart."""

    def make(*, seed=0, uneven=1.0, activation="RELU6", classes=4):
        draw = np.random.default_rng(seed)

        def weights(*shape):
            spread = np.exp(uneven * draw.standard_normal((shape[0], 1, 1, shape[3] if shape[0] == 1 else 1)))
            return draw.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) if shape[0] > 1 else 9) * spread

        def bias(channels):
            return draw.normal(0.7, 0.5, channels)

        def body(layers):
            first = layers.conv(layers.pixels, weights(8, 3, 3, 3) / 100, bias(8), stride=2, activation=activation)
            hidden = layers.conv(first, weights(8, 1, 1, 8), bias(8))
            for _ in range(2):
                wide = layers.conv(hidden, weights(24, 1, 1, 8), bias(24), activation=activation)
                wide = layers.depthwise(wide, weights(1, 3, 3, 24), bias(24), activation=activation)
                hidden = layers.add(hidden, layers.conv(wide, weights(8, 1, 1, 24), bias(8)))
            last = layers.conv(hidden, weights(32, 1, 1, 8), bias(32), activation=activation)
            return layers.mean(last)

        layers = new_layers(16)
        features = body(layers)
        seen = evaluated(layers.graph(features), coloured(80, 16, seed=7, classes=classes)).astype(np.float64)
        middle = seen.mean(axis=0)
        means = np.array([seen[each::classes].mean(axis=0) for each in range(classes)]) - middle
        # Linear discriminants of the hues, for features of unequal loudness.
        inside = np.cov((seen - middle - means[np.arange(80) % classes]).T) + 1e-4 * np.eye(32)
        rows = np.linalg.solve(inside, means.T).T
        rows *= 4 / np.abs(means @ rows.T).max()
        given = layers.softmax(layers.dense(features, rows, -rows @ middle - (rows * means).sum(axis=1) / 2))
        return layers.graph(given)

    return make


def evaluated(graph, pixels):
    """What LiteRT gives for the whole graph."""
    return Runner(graph.packed()).probabilities(pixels)


# --- with TensorFlow: a small real training, shared by all tests ----------------------------------------------

TRAIN_EXTRA = {"tensorflow", "keras", "sklearn", "scipy", "matplotlib", "seaborn", "jinja2"}


class ModuleOfAnExtra(pytest.Module):
    """A test file that is skipped, with the reason, where it or its subject imports what the train extra brings."""

    def collect(self):
        try:
            return super().collect()
        except self.CollectError as error:
            missing = getattr(error.__cause__, "name", None) or ""
            if not isinstance(error.__cause__, ModuleNotFoundError) or missing.split(".")[0] not in TRAIN_EXTRA:
                raise
            pytest.skip(f"{missing} is not installed: needs the train extra", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    return ModuleOfAnExtra.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def colour_folder(tmp_path_factory) -> Path:
    """Noisy 16×16 PNG files of four colours: train/<colour>/* and test/<colour>/*, 16 and 8 each."""
    folder, generator = tmp_path_factory.mktemp("colours") / "pictures", np.random.default_rng(3)
    for part, count in (("train", 16), ("test", 8)):
        for label, colour in zip(LABELS, COLOURS, strict=True):
            (folder / part / label).mkdir(parents=True)
            for number in range(count):
                noisy = (np.array(colour) + generator.integers(-30, 31, (16, 16, 3))).clip(0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(folder / part / label / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def colour_backbone(tmp_path_factory) -> Path:
    """Weights of MobileNetV2 0.35 that keep colours apart without a training, as a file of half precision.

    Random weights alone would turn every picture into noise: here the depthwise layers average, the residual
    blocks add nothing, and batch norm holds the statistics of coloured pictures and stays where ReLU6 is linear.
    """
    keras = pytest.importorskip("keras", reason="needs the train extra")
    from edgeproof.train import weights

    keras.utils.set_random_seed(1)
    base = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)
    added = {layer.name.replace("_add", "_project_BN") for layer in base.layers if layer.name.endswith("_add")}
    for layer in base.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([np.full(array.shape, 1 / 9, np.float32) for array in layer.get_weights()])
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # one call takes over the statistics of its batch
            layer.gamma.assign(np.full(layer.gamma.shape, 0 if layer.name in added else 1))
            layer.beta.assign(np.full(layer.beta.shape, 0 if "project" in layer.name else 3))
    noise = np.random.default_rng(0).integers(-40, 41, (32, 32, 32, 3))
    coloured = np.array(COLOURS)[np.arange(32) % 4][:, np.newaxis, np.newaxis] + noise
    base((coloured / 127.5 - 1).astype(np.float32), training=True)
    path = tmp_path_factory.mktemp("backbone") / "colours.npz"
    weights.save_half(base, path)
    return path


@pytest.fixture(scope="session")
def colour_config(colour_folder, colour_backbone):
    """Settings of a training in two phases that takes seconds and learns the four colours."""
    from edgeproof.train import config

    settings = {
        "recipe": "plain",
        "data.source": colour_folder,
        "network.weights": colour_backbone,
        **{"network.alpha": 0.35, "network.size": 32, "network.dense": 16, "network.dropout": 0.1},
        **{"head.epochs": 3, "head.batch": 4},
        **{"finetune.epochs": 1, "finetune.batch": 16, "finetune.frozen_layers": 145, "augmentation.shift": 1},
        "finetune.batch_norm": "frozen",
    }
    return config.load(None, [f"{name}={value}" for name, value in settings.items()])


@pytest.fixture(scope="session")
def colour_run(colour_config, tmp_path_factory):
    """The complete run folder of that training. Tests that change one copy it first."""
    from edgeproof.train import training

    return training.train(colour_config, tmp_path_factory.mktemp("runs") / "colours")


@pytest.fixture(scope="session")
def colour_exports(colour_run, tmp_path_factory) -> Path:
    """The run's float32 and int8 files with their verification, as `edgeproof convert` leaves them."""
    from edgeproof.convert import calibration, conversion, inputs, recipes

    given = inputs.from_run(colour_run.folder)
    sample = calibration.choose(given.train, images=20, seed=0)
    out = tmp_path_factory.mktemp("exports")
    both = recipes.named(["float32", "int8"])
    about = conversion.About(name="colours")
    conversion.convert(given.reference, both, sample, given.evidence, out=out, max_drop=5.0, about=about)
    return out


@pytest.fixture
def edgeproof(capsys):
    """Run a command as `edgeproof` would, and return (status, stdout, stderr)."""

    def run(*arguments):
        status = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


@dataclass(frozen=True)
class WatchedView(View):
    """A view of pictures that writes down how many were asked for at a time, into `sizes`."""

    sizes: list[int] = field(default_factory=list)

    def __getitem__(self, which):
        found = super().__getitem__(which)
        self.sizes.append(len(found))
        return found


@pytest.fixture(scope="session")
def watched_view():
    """`WatchedView`, for tests of what is never read all at once."""
    return WatchedView


@pytest.fixture(scope="session")
def imported():
    """Import a file that is no part of the package."""

    def load(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def peer_script(imported, pytestconfig):
    """Import a script of benchmarks/peers by its name."""
    return lambda name: imported(pytestconfig.rootpath / "benchmarks" / "peers" / f"{name}.py")
