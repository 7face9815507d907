"""Small whole models for the doctor to look at: float and int8, as edgeproof's files or another tool's."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.convert.metadata import METADATA_NAME, _byte, _Tables, _uint
from edgeproof.runtime import contract, labels, modelfile, specimen
from edgeproof.runtime.contract import Contract, Quantisation, TensorFormat
from edgeproof.runtime.findings import found
from edgeproof.runtime.graph import DTYPES, Graph
from edgeproof.runtime.pixels import Preprocessing, Resize

NAMES = ("red", "green", "blue", "grey")


def metadata(*, mean=(0.0,), std=(1.0,), colour=1, size=(16, 16), inputs=1, files=("labels.txt",)):
    """A metadata flatbuffer for pictures, with what a test wants said."""
    write = _Tables()

    def tensor():
        side = write.table({0: _uint(size[1]), 1: _uint(size[0])})
        picture = write.table({0: _byte(colour), 1: side})
        content = write.table({0: _byte(2), 1: picture})
        steps = write.table({0: _byte(1), 1: write.table({0: write.floats(mean), 1: write.floats(std)})})
        return write.table({0: write.text("image"), 3: content, 4: write.tables([steps])})

    taken = [tensor() for _ in range(inputs)]
    attached = [write.file(name, "", 2) for name in files]
    given = write.table({0: write.text("probability"), **({6: write.tables(attached)} if attached else {})})
    subgraph = write.table({2: write.tables(taken), 3: write.tables([given])})
    root = write.table({0: write.text("small"), 3: write.tables([subgraph])})
    write.builder.Finish(root, file_identifier=b"M001")
    return bytes(write.builder.Output())


class Bases:
    """Builders of sound models, for tests to break one thing of."""

    names = NAMES

    def __init__(self, residual, new_graph):
        self._residual, self._new_graph = residual, new_graph

    def floats(self, **options) -> Graph:
        """A small MobileNetV2 of 16×16 float pixels, four classes."""
        return self._residual(**options)

    def integers(self, classes=4) -> Graph:
        """uint8 pixels 16×16 to uint8 probabilities through int8 layers, every weight per channel."""
        return Graph.read(Integers(self._new_graph()).packed(classes))

    def described(self, graph: Graph, **options) -> bytes:
        """The graph as a flatbuffer with metadata."""
        return with_metadata(graph, metadata(**options)).packed()

    def foreign(self, graph: Graph, names=NAMES, **options) -> bytes:
        """The file of a careful other tool: metadata and labels, no contract."""
        return modelfile.pack(self.described(graph, **options), {"labels.txt": labels.text(names).encode()})

    def ours(self, graph: Graph, names=NAMES, *, said=None, format=1, size=16, **changes) -> bytes:
        """A file with a contract; `said` replaces its metadata's statements, `changes` its contract's."""
        flatbuffer = self.described(graph, **(said or {"files": ("labels.txt", "edgeproof.json")}))
        texts = labels.text(names).encode()
        described = Contract(
            name="small",
            recipe="float32",
            preprocessing=Preprocessing(steps=(Resize(width=size, height=size),)),
            labels_sha256=contract.sha256(texts),
            model_sha256=contract.sha256(flatbuffer),
            **{"input": tensor_format(graph, graph.inputs[0]), "output": tensor_format(graph, graph.outputs[0])}
            | changes,
            quantisation=Quantisation(operators=1, float_operators=1, per_channel_weights=0, per_tensor_weights=0),
            format=format,
        )
        return modelfile.pack(flatbuffer, {"labels.txt": texts, "edgeproof.json": contract.encode(described)})


def with_metadata(graph, content):
    """Put metadata into a graph."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    graph.model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(graph.model.buffers) - 1
    graph.model.metadata = [entry]
    return graph


def tensor_format(graph, number):
    """A tensor as a contract describes it."""
    found = graph.tensors[number]
    dtype = np.dtype(DTYPES[found.type]).name
    if graph.is_float(number):
        return TensorFormat(name=graph.name(number), shape=graph.shape(number), dtype=dtype)
    affine = graph.affine(number)
    return TensorFormat(
        name=graph.name(number),
        shape=graph.shape(number),
        dtype=dtype,
        scale=float(affine.scale[0]),
        zero_point=int(affine.zero_point[0]),
    )


class Integers:
    """An int8 graph built operator by operator, with scales that fit."""

    def __init__(self, parts):
        self.parts, self.draw = parts, np.random.default_rng(4)

    def packed(self, classes):
        ops, kinds, options = schema.BuiltinOperator, schema.TensorType, schema.BuiltinOptions
        first = self.parts.tensor("pixels", [1, 16, 16, 3], kinds.UINT8, scale=1.0)
        taken = self.activation("image", [1, 16, 16, 3], 1.0, -128)
        self.parts.operator(ops.QUANTIZE, [first], taken)
        taken = self.layer("CONV_2D", taken, (8, 3, 3, 3), [1, 16, 16, 8], 1.0, 6 / 255, activation="RELU6")
        taken = self.layer(
            "DEPTHWISE_CONV_2D", taken, (1, 3, 3, 8), [1, 16, 16, 8], 6 / 255, 6 / 255, activation="RELU6"
        )
        axes = self.parts.tensor("axes", [2], kinds.INT32, values=np.array([1, 2], np.int32))
        mean = self.activation("mean", [1, 8], 6 / 255, -128)
        self.parts.operator(ops.MEAN, [taken, axes], mean, options.ReducerOptions, schema.ReducerOptionsT())
        logits = self.layer("FULLY_CONNECTED", mean, (classes, 8), [1, classes], 6 / 255, 0.1, zero=0)
        softmax = schema.SoftmaxOptionsT()
        softmax.beta = 1.0
        last = self.activation("softmax", [1, classes], 1 / 256, -128)
        self.parts.operator(ops.SOFTMAX, [logits], last, options.SoftmaxOptions, softmax)
        given = self.parts.tensor("probabilities", [1, classes], kinds.UINT8, scale=1 / 256)
        self.parts.operator(ops.QUANTIZE, [last], given)
        return self.parts.packed(first, given)

    def activation(self, name, shape, scale, zero):
        return self.parts.tensor(name, shape, schema.TensorType.INT8, scale=scale, zero_point=zero)

    def layer(self, kind, taken, shape, given_shape, in_scale, out_scale, *, activation="NONE", zero=-128):
        """A layer whose weights have a scale a filter, and whose bias is in steps of input times weights."""
        axis = len(shape) - 1 if kind == "DEPTHWISE_CONV_2D" else 0
        channels = shape[axis]
        scales = (out_scale / in_scale * self.draw.uniform(0.002, 0.01, channels)).astype(np.float32)
        weights = self.draw.integers(-127, 128, shape).astype(np.int8)
        bias = self.draw.integers(-500, 500, channels).astype(np.int32)
        kinds = schema.TensorType
        w = self.parts.tensor(f"{kind} weights", list(shape), kinds.INT8, values=weights)
        b = self.parts.tensor(f"{kind} bias", [channels], kinds.INT32, values=bias)
        for number, values, along in ((w, scales, axis), (b, scales * np.float32(in_scale), 0)):
            found = schema.QuantizationParametersT()
            found.scale, found.zeroPoint, found.quantizedDimension = values, np.zeros(channels, np.int64), along
            self.parts.tensors[number].quantization = found
        given = self.activation(kind, given_shape, out_scale, zero)
        name = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"}.get(
            kind, "FullyConnectedOptions"
        )
        options = getattr(schema, f"{name}T")()
        options.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
        if kind != "FULLY_CONNECTED":
            options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
            options.padding = schema.Padding.SAME
        if axis == 3:
            options.depthMultiplier = 1
        operator = getattr(schema.BuiltinOperator, kind)
        return self.parts.operator(operator, [taken, w, b], given, getattr(schema.BuiltinOptions, name), options)


@pytest.fixture(scope="session")
def bases(residual, new_graph):
    """Builders of sound models, for tests to break one thing of."""
    return Bases(residual, new_graph)


@pytest.fixture
def rules_of(tmp_path):
    """The ids of the rules of a module that hold for a file's bytes, with their evidence."""

    def ids(rules, content, labels=None):
        path = tmp_path / "specimen.tflite"
        path.write_bytes(content)
        patient = specimen.opened(path, labels)
        return {each.rule: each.evidence for each in found(rules, patient)}

    return ids
