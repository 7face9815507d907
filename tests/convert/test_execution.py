import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.convert import execution
from edgeproof.convert.execution import BATCH, Execution, as_input, evaluate
from edgeproof.runtime import cutting
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner


@pytest.fixture(scope="module")
def graph(residual):
    return residual()


def run(graph, pixels, **options):
    """All outputs, operator by operator."""
    found = Execution(graph, as_input(graph, pixels), **options)
    return [found.advance(operator) for operator in range(len(graph.operators))], found


def test_operator_by_operator_gives_what_the_whole_file_gives(graph, coloured):
    pixels = coloured(BATCH + 7, 16)
    given, _ = run(graph, pixels)
    np.testing.assert_allclose(given[-1], Runner(graph.packed()).probabilities(pixels), atol=1e-5)
    assert [len(each) for each in given] == [BATCH + 7] * len(given)


def test_so_it_is_with_the_integers_of_a_real_int8_file(colour_exports):
    from edgeproof.runtime import modelfile

    flatbuffer = modelfile.read(colour_exports / "colours-int8.tflite").flatbuffer
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH + 2, 32, 32, 3), np.uint8)
    graph = Graph.read(flatbuffer)
    found = run(graph, pixels)[1].real(graph.outputs[0])
    np.testing.assert_array_equal(found, Runner(flatbuffer).probabilities(pixels))


def test_activations_are_dropped_when_no_operator_needs_them_any_more(graph, coloured):
    found = Execution(graph, as_input(graph, coloured(2, 16)))
    held = []
    for operator in range(len(graph.operators)):
        found.advance(operator)
        held.append(set(found.held))
    assert held[0] == {graph.given(0)}, "the pixels are gone"
    # The residual branch waits for the addition; the expanded map does not outlive its depthwise layer.
    assert graph.given(1) in held[2] & held[3]
    assert graph.given(2) not in held[3]
    assert held[-1] == set(graph.outputs)
    assert max(len(each) for each in held) == 2


def test_what_an_operator_gives_can_be_replaced(graph, coloured):
    pixels = coloured(3, 16)
    given, _ = run(graph, pixels)
    found = Execution(graph, as_input(graph, pixels))
    found.advance(0, np.zeros_like(given[0]))
    np.testing.assert_allclose(
        found.computed(1), np.broadcast_to(graph.constant(int(graph.operators[1].inputs[2])), given[1].shape), atol=1e-6
    )


def test_a_constant_that_is_changed_counts_for_its_operator_alone(residual, coloured):
    graph = residual()
    found = Execution(graph, as_input(graph, coloured(3, 16)))
    before = found.advance(0)
    graph.set_constant(int(graph.operators[1].inputs[1]), np.zeros((8, 1, 1, 8)))
    assert np.ptp(found.computed(1), axis=(0, 1, 2)).max() == 0
    assert np.ptp(before) > 0


def test_an_operator_is_seen_without_its_activation(graph, coloured):
    found = Execution(graph, as_input(graph, coloured(4, 16)))
    linear, fused = found.computed(0, without_activation=True), found.computed(0)
    assert linear.min() < 0
    np.testing.assert_allclose(np.clip(linear, 0, 6), fused, atol=1e-5)
    assert graph.activation(0) == "RELU6", "the graph itself keeps it"


def test_a_stretch_of_operators_gives_what_one_after_another_gives(graph, coloured):
    pixels = coloured(BATCH + 1, 16)
    given, _ = run(graph, pixels)
    found = evaluate(graph, [2, 3, 4, 5], {graph.given(1): given[1]}, graph.given(5))
    np.testing.assert_allclose(found, given[5], atol=1e-5)


def test_a_reshape_with_a_batch_of_one_in_it_takes_any(new_layers, coloured):
    layers = new_layers(4)
    flat = layers.reshape(layers.pixels, (1, 48))
    graph = layers.graph(layers.dense(flat, np.eye(48)[:5], np.zeros(5)))
    pixels = coloured(BATCH + 3, 4)
    given, _ = run(graph, pixels)
    np.testing.assert_array_equal(given[1], pixels.reshape(-1, 48)[:, :5])
    part = cutting.part(graph, [0], [graph.inputs[0]], graph.given(0))
    assert part.constant(int(part.operators[0].inputs[1])).tolist() == [-1, 48], "all in one go"
    assert graph.constant(int(graph.operators[0].inputs[1])).tolist() == [1, 48], "the graph itself keeps its batch"


def test_maps_that_lost_the_axis_of_pictures_are_run_one_by_one(new_layers, coloured):
    """As the converter makes them where a residual block works on 1×1."""
    layers = new_layers(4)
    draw = np.random.default_rng(0)
    small = layers.conv(layers.pixels, draw.standard_normal((6, 4, 4, 3)), np.zeros(6), same=False)
    flat = layers.reshape(small, (6,))
    total = layers.add(small, flat)
    graph = layers.graph(total)
    pixels = coloured(BATCH + 3, 4)
    given, _ = run(graph, pixels)
    assert given[1].shape == (BATCH + 3, 6)
    np.testing.assert_allclose(given[2], 2 * given[0], rtol=1e-6)


def test_an_operator_that_cannot_be_run_says_so(new_layers, coloured):
    layers = new_layers(4)
    graph = layers.graph(layers.reshape(layers.pixels, (1, 47)))
    with pytest.raises((RuntimeError, ValueError), match=r"num_input_elements|47"):
        run(graph, coloured(2, 4))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_pixels_are_given_as_the_input_takes_them(dtype, new_layers, coloured):
    layers = new_layers(4)
    graph = layers.graph(layers.mean(layers.pixels))
    graph.tensors[graph.inputs[0]].type = getattr(schema.TensorType, dtype.upper())
    pixels = coloured(2, 4)
    found = as_input(graph, pixels)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.astype(int), pixels.astype(int) - (128 if dtype == "int8" else 0))


def test_scales_too_far_apart_for_xnnpack_are_left_to_litert_itself(new_graph, monkeypatch):
    # Not tried first: among other operators, what XNNPACK refuses may end the process.
    delegated = []
    made = execution._interpreter
    monkeypatch.setattr(execution, "_interpreter", lambda *given: delegated.append(given[2]) or made(*given))
    parts, kinds = new_graph(), schema.TensorType
    taken = parts.tensor("pixels", [1, 2], kinds.INT8, scale=100.0)
    weights = parts.tensor("weights", [2, 2], kinds.INT8, values=np.eye(2, dtype=np.int8), scale=100.0)
    given = parts.tensor("given", [1, 2], kinds.INT8, scale=1.0)
    options = schema.FullyConnectedOptionsT()
    layer = [taken, weights, -1]
    parts.operator(
        schema.BuiltinOperator.FULLY_CONNECTED, layer, given, schema.BuiltinOptions.FullyConnectedOptions, options
    )
    graph = Graph.read(parts.packed(taken, given))
    found = evaluate(graph, [0], {graph.inputs[0]: np.array([[0, 1], [-1, 0]], np.int8)}, graph.outputs[0])
    np.testing.assert_array_equal(found, [[0, 127], [-128, 0]])
    assert delegated == [False]
