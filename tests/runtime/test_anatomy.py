import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime.anatomy import Anatomy


def test_operators_know_what_they_take_and_what_takes_them(bases):
    body = Anatomy(bases.floats())
    for number in range(len(body)):
        for tensor in body.gives[number]:
            assert body.maker[tensor] == number
        for tensor in body.takes[number]:
            assert number in body.takers[tensor]
    assert len(body.weighted()) == len(body.of_kind("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")) == 10


def test_the_codes_of_older_files_are_understood(bases):
    graph = bases.floats()
    for each in graph.model.operatorCodes:
        each.builtinCode = 0  # which is ADD, and what a reader finds where the newer field is left out
    assert Anatomy(graph).kinds == Anatomy(bases.floats()).kinds


def test_a_custom_operator_goes_by_its_own_name(bases):
    graph = bases.floats()
    code = graph.model.operatorCodes[graph.operators[0].opcodeIndex]
    code.builtinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"MyConvolution"
    body = Anatomy(graph)
    assert body.kinds[0] == "MyConvolution"
    assert body.is_custom(0)
    assert not body.is_custom(1)


def test_a_constant_that_does_not_fill_its_shape_is_none(bases):
    graph = bases.floats()
    tensor = int(graph.operators[0].inputs[1])
    graph.tensors[tensor].shape = [999]
    body = Anatomy(graph)
    assert body.constant(tensor) is None
    assert body.stored(tensor) > 0
    assert body.constant(-1) is None


def test_types_that_numpy_lacks_have_a_name_and_no_values(bases):
    graph = bases.floats()
    tensor = int(graph.operators[0].inputs[1])
    graph.tensors[tensor].type = schema.TensorType.BFLOAT16
    body = Anatomy(graph)
    assert body.dtype(tensor) == "bfloat16"
    assert body.is_float(tensor)
    assert body.constant(tensor) is None


def test_scales_are_one_for_a_tensor_or_one_for_each_channel(bases):
    body = Anatomy(bases.integers())
    layer = body.of_kind("DEPTHWISE_CONV_2D")[0]
    taken, weights = body.takes[layer][:2]
    assert body.scale(taken) == pytest.approx(6 / 255)
    assert body.zero_points(taken).tolist() == [-128]
    assert len(body.scales(weights)) == 8
    assert np.isnan(body.scale(weights))
    assert body.axis(weights) == 3


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("inputs", [99999], "takes a tensor"),
        ("outputs", [-1], "gives a tensor"),
        ("opcodeIndex", 500, "has a code"),
    ],
)
def test_numbers_of_what_is_not_there_are_refused(bases, field, value, said):
    graph = bases.floats()
    setattr(graph.operators[3], field, value)
    with pytest.raises(ValueError, match=f"operator 3 {said} that is not there"):
        Anatomy(graph)


def test_a_buffer_that_is_not_there_is_refused(bases):
    graph = bases.floats()
    graph.tensors[1].buffer = 4000
    with pytest.raises(ValueError, match="tensor 1 has a buffer that is not there"):
        Anatomy(graph)
