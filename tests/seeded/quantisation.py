"""Defects of scales, zero points and integers beside floats."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from seeded.registry import seed
from seeded.surgery import OPS, TYPES, between, bias_of, first, insert, rescaled, set_scales, tensor_like, weights_of


def islanded(bases, *, inside):
    """Behind the first convolution of int8: to float, something, and back."""
    graph = bases.integers()
    tensor = graph.given(first(graph, "CONV_2D"))
    real = tensor_like(graph, tensor, dtype=TYPES.FLOAT32)
    shown = tensor_like(graph, tensor, dtype=TYPES.FLOAT32) if inside else real
    back = tensor_like(graph, tensor, scale=graph.affine(tensor).scale[0], zero=graph.affine(tensor).zero_point[0])
    steps = [lambda taken: (real, (OPS.DEQUANTIZE, [taken], [real], schema.DequantizeOptionsT()))]
    if inside:
        steps.append(lambda taken: (shown, (OPS.ABS, [taken], [shown], schema.AbsOptionsT())))
    steps.append(lambda taken: (back, (OPS.QUANTIZE, [taken], [back], schema.QuantizeOptionsT())))
    between(graph, tensor, steps)
    return bases.foreign(graph)


@seed("EP401", "a float layer between integer ones")
def _(bases):
    return islanded(bases, inside=True)


@seed("EP402", "dequantise and quantise")
def _(bases):
    return islanded(bases, inside=False)


def hybrid(bases, kind):
    graph = bases.floats()
    tensor = weights_of(graph, kind)
    values = graph.constant(tensor)
    steps = np.abs(values.reshape(len(values), -1)).max(axis=1) / 127
    shape = (len(values),) + (1,) * (values.ndim - 1)
    graph.tensors[tensor].type = TYPES.INT8
    graph.set_constant(tensor, np.rint(values / steps.reshape(shape)))
    set_scales(graph.tensors[tensor], steps, np.zeros(len(steps)))
    return bases.foreign(graph)


@seed("EP403", "a dense layer with int8 weights")
def _(bases):
    return hybrid(bases, "FULLY_CONNECTED")


@seed("EP404", "a convolution with int8 weights")
def _(bases):
    return hybrid(bases, "CONV_2D")


@seed("EP405", "one scale for all depthwise channels")
def _(bases):
    return bases.foreign(rescaled(bases.integers(), "DEPTHWISE_CONV_2D", [0.005]))


@seed("EP406", "an input scale of calibration without white")
def _(bases):
    graph = bases.integers()
    set_scales(graph.tensors[graph.inputs[0]], [0.87], [0])
    return bases.foreign(graph, std=(1 / 0.87,))


@seed("EP407", "a softmax in steps of 1/128")
def _(bases):
    graph = bases.integers()
    set_scales(graph.tensors[graph.given(first(graph, "SOFTMAX"))], [1 / 128], [-128])
    return bases.foreign(graph)


@seed("EP408", "twelve classes in one byte")
def _(bases):
    return bases.foreign(bases.integers(12), names=tuple("abcdefghijkl"))


@seed("EP409", "float16 weights")
def _(bases):
    graph = bases.floats()
    tensor = weights_of(graph, "CONV_2D")
    half = tensor_like(graph, tensor, dtype=TYPES.FLOAT16, values=graph.constant(tensor).astype(np.float16))
    graph.tensors[tensor].buffer = 0
    insert(graph, 0, OPS.DEQUANTIZE, [half], [tensor], schema.DequantizeOptionsT())
    return bases.foreign(graph)


@seed("EP410", "a range of -20 to 20 behind a ReLU6")
def _(bases):
    graph = bases.integers()
    for kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        set_scales(graph.tensors[graph.given(first(graph, kind))], [40 / 255], [0])
    rescaled(graph, "DEPTHWISE_CONV_2D", graph.affine(weights_of(graph, "DEPTHWISE_CONV_2D")).scale)
    return bases.foreign(graph)


for _name, _value in {"zero": 0.0, "negative": -0.01, "not a number": np.nan, "subnormal": 1e-42}.items():

    @seed("EP451", f"a scale that is {_name}")
    def _(bases, value=_value):
        graph = bases.integers()
        graph.tensors[graph.given(first(graph, "MEAN"))].quantization.scale = np.array([value], np.float32)
        return bases.foreign(graph)


@seed("EP452", "a zero point of 300")
def _(bases):
    graph = bases.integers()
    set_scales(graph.tensors[graph.given(first(graph, "MEAN"))], [6 / 255], [300])
    return bases.foreign(graph)


@seed("EP453", "seven scales for eight channels")
def _(bases):
    graph = bases.integers()
    set_scales(graph.tensors[weights_of(graph, "CONV_2D")], np.full(7, 0.01), np.zeros(7))
    return bases.foreign(graph)


@seed("EP454", "int8 weights with a zero point")
def _(bases):
    graph = bases.integers()
    weights = graph.tensors[weights_of(graph, "CONV_2D")]
    set_scales(weights, weights.quantization.scale, [0, 0, 0, 5, 0, 0, 0, 0])
    return bases.foreign(graph)


@seed("EP455", "a bias in steps ten times too large")
def _(bases):
    graph = bases.integers()
    bias = graph.tensors[bias_of(graph, "CONV_2D")]
    set_scales(bias, 10 * bias.quantization.scale, np.zeros(8))
    return bases.foreign(graph)


@seed("EP456", "sums a thousand times coarser than the output")
def _(bases):
    graph = bases.integers()
    return bases.foreign(rescaled(graph, "CONV_2D", np.full(8, 1000 * 6 / 255)))


@seed("EP457", "a reshape that changes the scale")
def _(bases):
    graph = bases.integers()
    tensor = graph.given(first(graph, "MEAN"))
    shape = tensor_like(graph, tensor, dtype=TYPES.INT32, values=np.array([-1, 8], np.int32))
    given = tensor_like(graph, tensor, scale=0.05, zero=-128)
    bias = graph.tensors[bias_of(graph, "FULLY_CONNECTED")]
    set_scales(bias, bias.quantization.scale * 0.05 / (6 / 255), np.zeros(4))
    between(graph, tensor, [lambda taken: (given, (OPS.RESHAPE, [taken, shape], [given], schema.ReshapeOptionsT()))])
    return bases.foreign(graph)
