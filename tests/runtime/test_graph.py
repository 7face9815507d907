import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime import graph, modelfile
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner


def test_every_operator_of_a_float_graph_is_a_float_operator(tiny_flatbuffer):
    found = graph.quantisation(tiny_flatbuffer)
    assert (found.operators, found.float_operators) == (3, 3)
    assert (found.per_channel_weights, found.per_tensor_weights) == (0, 0)


def test_float_arithmetic_behind_an_integer_input_is_counted(make_flatbuffer):
    found = graph.quantisation(make_flatbuffer(quantised=True))
    assert (found.operators, found.float_operators) == (5, 5)


def fully_connected(new_graph, scales, kind=schema.TensorType.INT8):
    """One fully connected layer with int8 weights of these scales, between activations of a type."""
    parts, kinds = new_graph(), schema.TensorType
    taken = parts.tensor("pixels", [1, 4], kind, scale=0.5, zero_point=3)
    weights = parts.tensor("weights", [2, 4], kinds.INT8, values=np.ones((2, 4), np.int8), scale=1.0)
    parts.tensors[weights].quantization.scale = scales
    parts.tensors[weights].quantization.zeroPoint = [0] * len(scales)
    given = parts.tensor("given", [1, 2], kind, scale=1.0)
    parts.operator(schema.BuiltinOperator.FULLY_CONNECTED, [taken, weights, -1], given)
    return parts.packed(taken, given)


def test_weights_are_counted_by_the_number_of_their_scales(new_graph):
    for scales, expected in (([1.0, 0.5], (1, 0)), ([1.0], (0, 1))):
        found = graph.quantisation(fully_connected(new_graph, scales))
        assert (found.per_channel_weights, found.per_tensor_weights) == expected
        assert found.float_operators == 0


def test_an_integer_file_has_no_float_operator_before_its_logits_and_weights_per_channel(colour_exports):
    found = graph.quantisation(modelfile.read(colour_exports / "colours-int8.tflite").flatbuffer)
    assert found.float_operators <= 3  # the float head
    assert found.operators > 60
    assert found.per_channel_weights > 50
    assert found.per_tensor_weights == 0
    assert found.integer_multiply_accumulates == found.multiply_accumulates


def test_a_float_file_has_float_operators_alone(colour_exports):
    found = graph.quantisation(modelfile.read(colour_exports / "colours-float32.tflite").flatbuffer)
    assert found.float_operators == found.operators > 60
    assert found.per_channel_weights == 0
    assert found.integer_multiply_accumulates == 0


def test_multiply_accumulates_are_places_times_weights(new_layers):
    layers = new_layers(16)
    hidden = layers.conv(layers.pixels, np.ones((8, 3, 3, 3)), np.zeros(8), stride=2)
    hidden = layers.depthwise(hidden, np.ones((1, 5, 5, 8)), np.zeros(8), same=False)
    made = layers.graph(layers.dense(layers.mean(hidden), np.ones((10, 8)), np.zeros(10)))
    found = graph.quantisation(made.packed())
    assert found.multiply_accumulates == 8 * 8 * 8 * 27 + 4 * 4 * 8 * 25 + 80
    assert found.integer_multiply_accumulates == 0


def test_integer_weights_between_float_activations_count_as_integer_multiply_accumulates(new_graph):
    found = graph.quantisation(fully_connected(new_graph, [1.0], schema.TensorType.FLOAT32))
    assert (found.multiply_accumulates, found.integer_multiply_accumulates) == (8, 8)
    assert found.float_operators == 1


# --- reading, changing and packing ----------------------------------------------------------------------------------


def test_a_graph_that_is_packed_and_read_again_gives_the_same(residual, coloured):
    made, pixels = residual(), coloured(6, 16)
    again = Graph.read(made.packed())
    assert again.packed() == made.packed()
    assert [again.kind(i) for i in range(len(again.operators))] == [made.kind(i) for i in range(len(made.operators))]
    expected = Runner(made.packed()).probabilities(pixels)
    np.testing.assert_array_equal(Runner(again.packed()).probabilities(pixels), expected)


def test_every_buffer_lies_on_a_16_byte_boundary(residual):
    content = residual().packed()
    model = schema.Model.GetRootAs(content, 0)
    starts = []
    for place in range(model.BuffersLength()):
        buffer = model.Buffers(place)
        if buffer.DataLength():
            offset = buffer._tab.Vector(buffer._tab.Offset(4))
            starts.append(offset % 16)
    assert starts
    assert set(starts) == {0}


def test_constants_that_lie_behind_the_flatbuffer_are_read(new_layers, coloured):
    """As the converter writes files beyond 2 GB."""
    weights, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 2], np.float32)
    layers = new_layers(4)
    made = layers.graph(layers.dense(layers.mean(layers.pixels), weights, bias))
    place = made.tensors[int(made.operators[1].inputs[1])].buffer
    content = with_offset(made, place, 1, 0)
    outside = with_offset(made, place, len(content), weights.nbytes) + weights.tobytes()
    assert len(outside) == len(content) + weights.nbytes
    found = Graph.read(outside)
    np.testing.assert_array_equal(found.constant(int(found.operators[1].inputs[1])), weights)
    pixels = coloured(3, 4)
    np.testing.assert_allclose(
        Runner(found.packed()).probabilities(pixels), pixels.mean(axis=(1, 2)) @ weights.T + bias, rtol=1e-4
    )


def with_offset(made, place, offset, size):
    """The graph packed by the schema's own code, one buffer of which lies elsewhere."""
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(made.packed(), 0)
    model.buffers[place].data, model.buffers[place].offset, model.buffers[place].size = None, offset, size
    builder = flatbuffers.Builder(1024)
    # Offsets of nought are left out of a flatbuffer, and its length with them.
    builder.ForceDefaults(True)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_constant_that_shares_its_buffer_is_changed_alone(residual):
    made = residual()
    one, other = (int(made.operators[operator].inputs[2]) for operator in (0, 1))
    made.tensors[other].buffer = made.tensors[one].buffer
    before = made.constant(one).copy()
    made.set_constant(other, np.arange(8))
    np.testing.assert_array_equal(made.constant(other), np.arange(8, dtype=np.float32))
    np.testing.assert_array_equal(made.constant(one), before)
    made.set_constant(one, before + 1)
    np.testing.assert_array_equal(made.constant(other), np.arange(8, dtype=np.float32))


def test_a_constant_keeps_its_dtype_and_an_activation_is_none(new_graph):
    made = Graph.read(fully_connected(new_graph, [1.0]))
    weights = int(made.operators[0].inputs[1])
    made.set_constant(weights, np.full((2, 4), -7.0))
    assert made.constant(weights).dtype == np.int8
    assert made.constant(weights).tolist() == [[-7] * 4] * 2
    assert made.constant(made.inputs[0]) is None
    assert made.constant(-1) is None


def test_operators_are_found_by_what_they_give_and_take(residual):
    made = residual()
    addition = next(i for i in range(len(made.operators)) if made.kind(i) == "ADD")
    assert made.taken(addition) == [made.given(1), made.given(addition - 1)]
    assert made.consumers(made.given(1)) == [2, addition]
    assert made.producer(made.given(1)) == 1
    assert made.producer(made.inputs[0]) is None
    assert made.activation(0) == "RELU6"
    assert made.activation(addition) == "NONE"
    assert made.shape(made.given(0)) == (1, 8, 8, 8)
    assert made.name(made.inputs[0]) == "pixels"


def test_integers_stand_for_reals_by_scale_and_zero_point(new_graph):
    made = Graph.read(fully_connected(new_graph, [1.0, 0.25]))
    taken, weights = made.inputs[0], int(made.operators[0].inputs[1])
    assert (made.affine(taken).scale.tolist(), made.affine(taken).zero_point.tolist()) == ([0.5], [3])
    assert made.affine(weights).scale.tolist() == [1.0, 0.25]
    found = made.real(taken, np.array([[3, 4, -128, 127]], np.int8))
    assert found.dtype == np.float32
    assert found.tolist() == [[0.0, 0.5, -65.5, 62.0]]


def test_a_float_tensor_has_no_scale_and_its_values_stand_for_themselves(residual):
    made = residual()
    with pytest.raises(ValueError, match="Tensor 'pixels' is not quantised"):
        made.affine(made.inputs[0])
    values = np.array([1.5], np.float32)
    assert made.real(made.inputs[0], values) is values
