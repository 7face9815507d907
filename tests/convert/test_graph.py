import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeproof.convert import graph
from edgeproof.runtime import modelfile


def test_every_operator_of_a_float_graph_is_a_float_operator(tiny_flatbuffer):
    found = graph.quantisation(tiny_flatbuffer)
    assert (found.operators, found.float_operators) == (3, 3)
    assert (found.per_channel_weights, found.per_tensor_weights) == (0, 0)


def test_float_arithmetic_behind_an_integer_input_is_counted(make_flatbuffer):
    found = graph.quantisation(make_flatbuffer(quantised=True))
    assert (found.operators, found.float_operators) == (5, 5)


def fully_connected(new_graph, scales):
    """One fully connected layer in int8, whose weights have these scales."""
    parts, kinds = new_graph(), schema.TensorType
    taken = parts.tensor("pixels", [1, 4], kinds.INT8, scale=1.0)
    weights = parts.tensor("weights", [2, 4], kinds.INT8, values=np.ones((2, 4), np.int8), scale=1.0)
    parts.tensors[weights].quantization.scale = scales
    parts.tensors[weights].quantization.zeroPoint = [0] * len(scales)
    given = parts.tensor("given", [1, 2], kinds.INT8, scale=1.0)
    parts.operator(schema.BuiltinOperator.FULLY_CONNECTED, [taken, weights, -1], given)
    return parts.packed(taken, given)


def test_weights_are_counted_by_the_number_of_their_scales(new_graph):
    for scales, expected in (([1.0, 0.5], (1, 0)), ([1.0], (0, 1))):
        found = graph.quantisation(fully_connected(new_graph, scales))
        assert (found.per_channel_weights, found.per_tensor_weights) == expected
        assert found.float_operators == 0


def test_an_integer_file_has_no_float_operator_and_weights_per_channel(colour_exports):
    found = graph.quantisation(modelfile.read(colour_exports / "colours-int8.tflite").flatbuffer)
    assert found.float_operators == 0
    assert found.operators > 60
    assert found.per_channel_weights > 50
    assert found.per_tensor_weights <= 2  # the dense layers


def test_a_float_file_has_float_operators_alone(colour_exports):
    found = graph.quantisation(modelfile.read(colour_exports / "colours-float32.tflite").flatbuffer)
    assert found.float_operators == found.operators > 60
    assert found.per_channel_weights == 0
