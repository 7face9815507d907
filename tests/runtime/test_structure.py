import random
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import edgeproof.models
from edgeproof.runtime import ModelError, modelfile, structure
from edgeproof.runtime.graph import Graph

SHIPPED = next(Path(edgeproof.models.__file__).parent.glob("*.tflite"))


@pytest.fixture(scope="module")
def shipped() -> bytes:
    """The flatbuffer of the project's own int8 model."""
    return modelfile.read(SHIPPED).flatbuffer


def at(graph, kind):
    return graph.operators[next(n for n in range(len(graph.operators)) if graph.kind(n) == kind)]


def weights(graph, kind="CONV_2D"):
    return graph.tensors[int(at(graph, kind).inputs[1])]


def activation(graph):
    return graph.tensors[int(at(graph, "CONV_2D").outputs[0])]


def change(thing, **values):
    for name, value in values.items():
        setattr(thing, name, value)


def floats(*values):
    return np.array(values, np.float32)


def numbers(*values):
    return np.array(values, np.int64)


def links(*values):
    return np.array(values, np.int32)


def swap_first_operators(graph):
    graph.operators[3], graph.operators[4] = graph.operators[4], graph.operators[3]


def write_a_constant(graph):
    at(graph, "CONV_2D").outputs = links(at(graph, "CONV_2D").inputs[1])


def make_custom(graph):
    change(graph.model.operatorCodes[0], builtinCode=32, deprecatedBuiltinCode=32, customCode="FlexSort")


def lengthen_a_constant(graph):
    buffer = graph.model.buffers[weights(graph).buffer]
    buffer.data = np.append(np.asarray(buffer.data, np.uint8), np.uint8(0))


def spoil_axes(graph):
    graph.set_constant(int(at(graph, "MEAN").inputs[1]), links(1, 9))


# What is done to the shipped model, and what is said of it.
WRONG = {
    "schema": (lambda g: change(g.model, version=4), "schema version 4"),
    "subgraphs": (lambda g: change(g.model, subgraphs=g.model.subgraphs * 2), "2 subgraphs"),
    "type": (lambda g: change(activation(g), type=5), r"tensor \d+ .* has type 5"),
    "side": (lambda g: change(activation(g), shape=links(1, 0, 48, 16)), r"has shape \(1, 0, 48, 16\)"),
    "negative side": (lambda g: change(activation(g), shape=links(1, -48, 48, 16)), "has shape"),
    "product": (lambda g: change(activation(g), shape=links(1, 2**15, 2**15, 2)), "has shape"),
    "rank": (lambda g: change(activation(g), shape=links(*[1] * 9)), "has shape"),
    "signature": (lambda g: change(activation(g), shapeSignature=links(-1, 5, 48, 16)), r"signature \(-1, 5"),
    "variable": (lambda g: change(activation(g), isVariable=True), "sparse, variable or kept elsewhere"),
    "sparse": (lambda g: change(weights(g), sparsity=schema.SparsityParametersT()), "sparse, variable"),
    "buffer": (lambda g: change(activation(g), buffer=10**6), "is in buffer 1000000 of"),
    "length": (lengthen_a_constant, r"432 bytes, but its buffer has 433"),
    "scale 0": (lambda g: change(activation(g).quantization, scale=floats(0)), "not finite and positive"),
    "scale nan": (lambda g: change(activation(g).quantization, scale=floats(np.nan)), "not finite and positive"),
    "scale inf": (lambda g: change(activation(g).quantization, scale=floats(np.inf)), "not finite and positive"),
    "one scale nan": (
        lambda g: change(weights(g).quantization, scale=floats(np.nan, *[0.1] * 15)),
        "not finite and positive",
    ),
    "two scales": (lambda g: change(activation(g).quantization, scale=floats(1, 1)), "2 scales for dimension"),
    "axis": (lambda g: change(weights(g).quantization, quantizedDimension=7), "16 scales for dimension 7"),
    "zero point": (lambda g: change(activation(g).quantization, zeroPoint=numbers(128)), "zero point outside of -128"),
    "no zero point": (lambda g: change(activation(g).quantization, zeroPoint=None), "0 zero points for 1 scales"),
    "biased weights": (lambda g: change(weights(g).quantization, zeroPoint=numbers(*[300] * 16)), "zero point outside"),
    "no scale": (lambda g: change(activation(g), quantization=None), "needs a scale"),
    "kind": (lambda g: change(at(g, "CONV_2D"), opcodeIndex=99), r"operator \d+ is of kind 99 of"),
    "unknown": (lambda g: change(g.model.operatorCodes[0], builtinCode=118), "operator of number 118"),
    "custom": (make_custom, "custom operator 'FlexSort'"),
    "version": (lambda g: change(g.model.operatorCodes[0], version=0), "has version 0 of"),
    "operand": (lambda g: change(at(g, "MEAN"), inputs=links(9999, 1)), "takes tensor 9999, which no operator before"),
    "absent": (lambda g: change(at(g, "MEAN"), inputs=links(-1, 1)), "takes tensor -1"),
    "arity": (lambda g: change(at(g, "MEAN"), inputs=links(1)), r"\(MEAN\) has 1 inputs and 1 outputs"),
    "outputs": (lambda g: change(at(g, "MEAN"), outputs=links()), r"\(MEAN\) has 2 inputs and 0 outputs"),
    "no third input": (
        lambda g: change(at(g, "DEPTHWISE_CONV_2D"), inputs=at(g, "DEPTHWISE_CONV_2D").inputs[:2].astype(np.int32)),
        r"\(DEPTHWISE_CONV_2D\) has 2 inputs",  # LiteRT crashes on it
    ),
    "order": (swap_first_operators, "which no operator before it gives"),
    "constant written": (write_a_constant, "is an input, a constant or given already"),
    "given twice": (lambda g: g.operators.insert(5, g.operators[4]), "is an input, a constant or given already"),
    "no options": (lambda g: change(at(g, "CONV_2D"), builtinOptions=None, builtinOptionsType=0), "lacks its options"),
    "other options": (lambda g: change(at(g, "CONV_2D"), builtinOptionsType=5), "lacks its options"),
    "stride": (lambda g: change(at(g, "CONV_2D").builtinOptions, strideH=0), "strides"),
    "function": (lambda g: change(at(g, "CONV_2D").builtinOptions, fusedActivationFunction=5), "ends in function 5"),
    "state": (lambda g: change(at(g, "CONV_2D"), intermediates=links(3)), "keeps a state"),
    "axes": (spoil_axes, r"has axes \[1, 9\] of 4 dimensions"),
    "output": (lambda g: g.outputs.__setitem__(0, int(at(g, "CONV_2D").inputs[1])), "no operator gives its output"),
    "far output": (lambda g: g.outputs.__setitem__(0, 10**6), "the graph's outputs are tensors"),
    "constant input": (lambda g: g.inputs.__setitem__(0, int(at(g, "CONV_2D").inputs[1])), "inputs is a constant"),
    "metadata": (lambda g: change(g.model.metadata[0], buffer=10**6), "are in buffer 1000000"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_and_named(case, shipped):
    edit, message = WRONG[case]
    graph = Graph.read(shipped)
    edit(graph)
    with pytest.raises(ModelError, match=message) as caught:
        structure.check(graph.packed())
    assert str(caught.value).endswith("Get or export the file again.")
    assert "\n" not in str(caught.value)


def test_a_graph_as_it_was_packed_again_is_accepted(shipped):
    assert structure.check(Graph.read(shipped).packed()) == structure.check(shipped)


def test_every_recipes_graph_is_accepted_and_described(shipped, make_flatbuffer, residual):
    found = structure.check(shipped)
    assert found.operators.count("CONV_2D") == 35
    assert found.multiply_accumulates > 10**7
    for content in (make_flatbuffer(quantised=True), make_flatbuffer(quantised=False), residual().packed()):
        assert structure.check(content).peak_bytes > 0


def test_the_peak_of_memory_is_that_of_the_largest_neighbours(new_layers):
    layers = new_layers(8)
    wide = layers.conv(layers.pixels, np.ones((64, 1, 1, 3)), np.ones(64))
    last = layers.mean(layers.conv(wide, np.ones((4, 1, 1, 64)), np.ones(4)))
    content = layers.graph(last).packed()
    # 64 and 4 channels of 8×8 floats lie side by side; the pixels are gone by then.
    assert structure.check(content).peak_bytes == 64 * 4 * (64 + 4)


def test_more_memory_than_the_limit_is_refused(new_layers, monkeypatch):
    layers = new_layers(8)
    content = layers.graph(layers.mean(layers.conv(layers.pixels, np.ones((64, 1, 1, 3)), np.ones(64)))).packed()
    monkeypatch.setattr(structure, "MEMORY_LIMIT", 64 * 4 * 64 + 100)
    with pytest.raises(ModelError, match="activations would take"):
        structure.check(content)


def test_more_work_than_the_limit_is_refused(shipped, monkeypatch):
    monkeypatch.setattr(structure, "WORK_LIMIT", 10**6)
    with pytest.raises(ModelError, match=r"one picture would take 1\.\de\+07 multiplications"):
        structure.check(shipped)


def test_a_batch_that_is_left_open_is_accepted(new_layers):
    layers = new_layers(8)
    graph = layers.graph(layers.mean(layers.pixels))
    graph.tensors[graph.inputs[0]].shapeSignature = np.array([-1, 8, 8, 3], np.int32)
    structure.check(graph.packed())


def test_something_else_than_a_flatbuffer_is_refused():
    for content in (b"", b"TFL3", b"\x10\0\0\0TFL4" + bytes(100)):
        with pytest.raises(ModelError, match="lacks the mark TFL3"):
            structure.check(content)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_bytes_are_accepted_or_are_a_model_error_and_nothing_else(shipped, seed):
    # Flips near the end, where the tables lie; the rest are weights, of which any bytes are good.
    draw, outcomes = random.Random(seed), set()
    for _ in range(60):
        damaged = bytearray(shipped)
        for _ in range(draw.choice([1, 2, 8])):
            damaged[-draw.randrange(1, 40_000)] ^= 1 << draw.randrange(8)
        try:
            structure.check(bytes(damaged))
            outcomes.add("accepted")
        except ModelError:
            outcomes.add("refused")
    assert outcomes == {"accepted", "refused"}


def test_the_check_takes_a_few_milliseconds(shipped):
    durations = []
    for _ in range(10):
        start = time.thread_time()
        structure.check(shipped)
        durations.append(time.thread_time() - start)
    assert min(durations) < 0.03  # 5 ms on an idle machine
