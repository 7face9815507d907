from itertools import product

import numpy as np
import pytest

from edgeproof.convert import interface, quantiser
from edgeproof.convert.execution import Execution, as_input
from edgeproof.convert.ranges import Observer
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner

pytest.importorskip("litert_quantizer", reason="needs the train extra")


@pytest.fixture(scope="module")
def pixels(coloured):
    return coloured(60, 16, seed=1)


@pytest.fixture(scope="module")
def packed(residual, coloured):
    """The graph in float32, int8 and int16x8, and in int8 with a float head; as LiteRT's quantiser leaves them."""
    graph = residual(uneven=0.3)
    run = Execution(graph, as_input(graph, coloured(40, 16)))
    ranges = {graph.inputs[0]: (0.0, 255.0)}
    for operator in range(len(graph.operators)):
        observer = Observer("any")
        observer.observe(run.advance(operator))
        ranges[graph.given(operator)] = observer.range("min-max")
    return {
        "float32": graph.packed(),
        "int8": quantiser.static(graph, ranges).packed(),
        "int16x8": quantiser.static(graph, ranges, activation_bits=16).packed(),
        "float head": quantiser.static(graph, ranges, float_head=True).packed(),
    }


def with_ends(packed, taken, given):
    graph = Graph.read(packed)
    interface.with_input(graph, taken)
    interface.with_output(graph, given)
    return Runner(graph.packed())


@pytest.mark.parametrize("recipe", ["float32", "int8", "int16x8", "float head"])
def test_whatever_a_file_takes_and_gives_its_answers_are_the_same(recipe, packed, pixels):
    found = {
        ends: with_ends(packed[recipe], *ends).probabilities(pixels)
        for ends in product(interface.DTYPES, interface.DTYPES)
    }
    expected = found["float32", "float32"]
    assert len(set(expected.argmax(axis=1).tolist())) == 4
    for (taken, given), outputs in found.items():
        np.testing.assert_allclose(outputs, found["float32", given], atol=1e-6, err_msg=f"{taken} {given}")
        # Answers as bytes come in steps of 1/256.
        np.testing.assert_allclose(outputs, expected, atol=1 / 256, err_msg=f"{taken} {given}")


@pytest.mark.parametrize("recipe", ["float32", "int8", "int16x8"])
@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 0), ("int8", -128)])
def test_a_byte_stands_for_itself_and_an_int8_for_the_pixel_less_128(recipe, dtype, zero_point, packed):
    taken = with_ends(packed[recipe], dtype, "float32").input
    assert (taken.dtype, taken.scale, taken.zero_point) == (dtype, 1.0, zero_point)


@pytest.mark.parametrize("recipe", ["float32", "int8", "int16x8", "float head"])
@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 0), ("int8", -128)])
def test_answers_as_bytes_are_in_steps_of_1_256(recipe, dtype, zero_point, packed, pixels):
    runner = with_ends(packed[recipe], "uint8", dtype)
    assert (runner.output.dtype, runner.output.scale, runner.output.zero_point) == (dtype, 1 / 256, zero_point)


def test_a_float_head_gives_answers_that_steps_do_not_tie(packed, pixels):
    fine, coarse = (
        np.unique(with_ends(packed[r], "uint8", "float32").probabilities(pixels)) for r in ("float head", "int8")
    )
    assert len(coarse) < 200
    assert len(fine) == pixels.shape[0] * 4 or len(fine) > 200


def test_answers_as_bytes_can_be_made_floats_again(packed, pixels):
    graph = Graph.read(packed["float head"])
    expected = with_ends(packed["float head"], "uint8", "float32").probabilities(pixels)
    interface.with_input(graph, "uint8")
    interface.with_output(graph, "int8")
    interface.with_output(graph, "float32")
    np.testing.assert_array_equal(Runner(graph.packed()).probabilities(pixels), expected)


def test_ends_that_are_there_already_are_not_added_again(packed):
    graph = Graph.read(packed["float32"])
    operators = len(graph.operators)
    interface.with_input(graph, "float32")
    interface.with_output(graph, "float32")
    assert len(graph.operators) == operators


def test_the_same_operator_code_is_used_again(packed):
    graph = Graph.read(packed["int16x8"])
    interface.with_input(graph, "uint8")
    interface.with_output(graph, "uint8")
    codes = [code.builtinCode for code in graph.model.operatorCodes]
    quantise = [i for i in range(len(graph.operators)) if graph.kind(i) == "QUANTIZE"]
    assert len({graph.operators[i].opcodeIndex for i in quantise}) == 1
    assert len(quantise) >= 3
    assert len(codes) >= 1


@pytest.mark.parametrize("end", [interface.with_input, interface.with_output])
def test_another_type_is_refused(end, packed):
    with pytest.raises(ValueError, match="Expected one of uint8, int8, float32, got 'float16'"):
        end(Graph.read(packed["float32"]), "float16")
