import numpy as np
import pytest

from edgeproof.runtime import shapes
from edgeproof.runtime.shapes import Operand, Unfit

PICTURE = (1, 8, 8, 4)
CONV = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": 0, "multiplier": 1, "fused": 0}
DENSE = {"format": 0, "keep": False}
POOL = {**CONV, "filter_h": 2, "filter_w": 2}


def tensor(*shape, dtype="float32", scale=None, values=None):
    scales = None if scale is None else np.atleast_1d(np.float32(scale))
    return Operand("t", shape, dtype, scales, values)


def integers(*values, shape=None):
    found = np.array(values, np.int32)
    return tensor(*(shape or found.shape), dtype="int32", values=found)


def int8(*shape, scale=0.1):
    return tensor(*shape, dtype="int8", scale=scale)


FLOAT_CONV = [tensor(*PICTURE), tensor(5, 3, 3, 4), tensor(5)]
UNFIT = {
    "a stride of zero": (shapes.convolution, FLOAT_CONV, {**CONV, "stride_h": 0}, "strides"),
    "a negative stride": (shapes.pool, [tensor(*PICTURE)], {**POOL, "stride_w": -1}, "strides"),
    "a huge stride": (shapes.convolution, FLOAT_CONV, {**CONV, "stride_w": 2**31 - 1}, "strides"),
    "a dilation of zero": (shapes.convolution, FLOAT_CONV, {**CONV, "dilation_h": 0}, "dilations"),
    "a pool of nothing": (shapes.pool, [tensor(*PICTURE)], {**POOL, "filter_h": 0}, "window"),
    "a window past the picture": (shapes.pool, [tensor(*PICTURE)], {**POOL, "filter_h": 9, "padding": 1}, "window of"),
    "an unknown padding": (shapes.convolution, FLOAT_CONV, {**CONV, "padding": 2}, "padding 2"),
    "filters of another depth": (shapes.convolution, [tensor(*PICTURE), tensor(5, 3, 3, 3), None], CONV, "depth 3"),
    "a flat input": (shapes.convolution, [tensor(1, 8), *FLOAT_CONV[1:]], CONV, "4 dimensions are needed"),
    "a short bias": (shapes.convolution, [*FLOAT_CONV[:2], tensor(4)], CONV, "for 5 channels"),
    "a bias of bytes": (shapes.convolution, [*FLOAT_CONV[:2], tensor(5, dtype="int8")], CONV, "bias of int8"),
    "too many depthwise filters": (
        shapes.depthwise,
        [tensor(*PICTURE), tensor(1, 3, 3, 8), None],
        CONV,
        "4 channels times 1",
    ),
    "dense weights of another width": (shapes.dense, [tensor(1, 7), tensor(3, 4), None], DENSE, r"\(1, 7\)"),
    "shuffled weights": (shapes.dense, [tensor(1, 4), tensor(3, 4), None], {**DENSE, "format": 1}, "weights"),
    "shapes that do not join": (shapes.broadcast, [tensor(2, 3), tensor(2, 4)], {}, "joins"),
    "an axis past the last": (shapes.reduced, [tensor(*PICTURE), integers(4)], {"keep": False}, "axes"),
    "axes that are computed": (
        shapes.reduced,
        [tensor(*PICTURE), tensor(2, dtype="int32")],
        {"keep": False},
        "no constant",
    ),
    "a reshape to more": (shapes.reshaped, [tensor(*PICTURE), integers(1, 257)], {}, "makes"),
    "a reshape with two open sides": (shapes.reshaped, [tensor(*PICTURE), integers(-1, -1)], {}, "makes"),
    "a reshape to nothing": (shapes.reshaped, [tensor(*PICTURE), integers(0, 256)], {}, "makes"),
    "a negative padding": (shapes.padded, [tensor(1, 4), integers(0, 0, -1, 0, shape=(2, 2))], {}, "pads"),
    "paddings of another rank": (shapes.padded, [tensor(1, 4), integers(0, 0, 0, 0, 0, 0, shape=(3, 2))], {}, "pads"),
    "a concatenation of other sides": (shapes.joined, [tensor(1, 2), tensor(2, 2)], {"axis": 1}, "joins"),
    "a concatenation past the last axis": (shapes.joined, [tensor(1, 2)], {"axis": 2}, "axis 2"),
    "a softmax of no steepness": (shapes.softmax, [tensor(1, 4)], {"beta": 0.0}, "beta 0"),
    "a softmax that is no number": (shapes.softmax, [tensor(1, 4)], {"beta": float("nan")}, "beta nan"),
    "a softmax of tiny steps": (shapes.softmax, [int8(1, 4, scale=1e-9)], {"beta": 1.0}, "steps of 1e-09"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_cannot_be_is_unfit_and_named(case):
    rule, inputs, options, message = UNFIT[case]
    with pytest.raises(Unfit, match=message):
        rule(inputs, options, [tensor(1, 1)])


def test_the_rules_cases_differ_from_a_fit_one_by_what_is_named():
    assert shapes.convolution(FLOAT_CONV, CONV, [tensor(1, 1)]) == (1, 8, 8, 5)
    assert shapes.pool([tensor(*PICTURE)], POOL, []) == PICTURE
    assert shapes.dense([tensor(1, 8), tensor(3, 4), None], DENSE, [tensor(1, 1)]) == (2, 3)


@pytest.mark.parametrize(
    ("taken", "weights", "given"),
    [
        ("float32", "float16", "float32"),
        ("int8", "float32", "int8"),
        ("int8", "int8", "float32"),
        ("int16", "int16", "int16"),
        ("int32", "int8", "int32"),
    ],
)
def test_types_that_do_not_go_together_are_unfit(taken, weights, given):
    inputs = [tensor(1, 4, dtype=taken, scale=0.1), tensor(3, 4, dtype=weights, scale=0.1), None]
    with pytest.raises(Unfit, match=f"multiplies {taken} with {weights} to {given}"):
        shapes.dense(inputs, DENSE, [tensor(1, 3, dtype=given, scale=0.1)])


def test_integer_weights_need_a_scale_or_one_a_channel():
    with pytest.raises(Unfit, match="integer weights without a scale"):
        shapes.dense([tensor(1, 4), tensor(3, 4, dtype="int8"), None], DENSE, [tensor(1, 3)])
    with pytest.raises(Unfit, match="2 scales for 3 channels"):
        shapes.dense([tensor(1, 4), int8(3, 4, scale=[0.1, 0.2]), None], DENSE, [tensor(1, 3)])


@pytest.mark.parametrize(
    ("out", "fits"), [(0.001, True), (0.1 * 0.5 / 255, True), (0.1 * 0.5 / 257, False), (1e-30, False)]
)
def test_a_multiplier_of_256_is_refused_because_litert_dies_of_it(out, fits):
    inputs = [int8(1, 4, scale=0.1), int8(3, 4, scale=[0.001, 0.5, 0.1]), None]
    if fits:
        assert shapes.dense(inputs, DENSE, [int8(1, 3, scale=out)]) == (1, 3)
        return
    with pytest.raises(Unfit, match=r"multiplies its sums by .+; 256 and more"):
        shapes.dense(inputs, DENSE, [int8(1, 3, scale=out)])


def test_sums_of_very_unequal_scales_are_refused_because_litert_dies_of_them():
    assert shapes.summed([int8(1, 4, scale=0.1), int8(1, 4, scale=1e-9)], {}, [int8(1, 4, scale=0.01)]) == (1, 4)
    for rule in (shapes.summed, shapes.squared):
        with pytest.raises(Unfit, match=r"brings a scale of 1e\+06 to one of 0\.01"):
            rule([int8(1, 4, scale=0.1), int8(1, 4, scale=1e6)], {}, [int8(1, 4, scale=0.01)])


def test_a_sum_of_floats_has_no_scales_to_compare():
    assert shapes.summed([tensor(1, 4), tensor(4)], {}, [tensor(1, 4)]) == (1, 4)
