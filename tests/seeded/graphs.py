"""Defects of operators and how they hang together."""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from seeded.registry import seed
from seeded.surgery import OPS, TYPES, behind_the_mean, between, first, insert, tensor_like


def custom(bases, name):
    graph = behind_the_mean(bases.floats(), OPS.CUSTOM)
    graph.model.operatorCodes[-1].customCode = name
    return bases.foreign(graph)


@seed("EP301", "an operator of TensorFlow")
def _(bases):
    return custom(bases, "FlexErf")


@seed("EP302", "an operator of somebody's own")
def _(bases):
    return custom(bases, "MyAttention")


@seed("EP303", "the postprocessing of detectors")
def _(bases):
    return custom(bases, "TFLite_Detection_PostProcess")


@seed("EP304", "a convolution of version 99")
def _(bases):
    graph = bases.floats()
    graph.model.operatorCodes[graph.operators[first(graph, "CONV_2D")].opcodeIndex].version = 99
    return bases.foreign(graph)


@seed("EP304", "an operator that LiteRT does not run")
def _(bases):
    return bases.foreign(behind_the_mean(bases.floats(), OPS.STABLEHLO_TANH))


@seed("EP305", "a reshape to one row")
def _(bases):
    graph = bases.floats()
    tensor = graph.given(first(graph, "MEAN"))
    shape = tensor_like(graph, tensor, dtype=TYPES.INT32, values=np.array([1, 32], np.int32))
    given = tensor_like(graph, tensor)
    between(graph, tensor, [lambda taken: (given, (OPS.RESHAPE, [taken, shape], [given], schema.ReshapeOptionsT()))])
    return bases.foreign(graph)


@seed("EP306", "a batch of any size")
def _(bases):
    graph = bases.floats()
    graph.tensors[graph.inputs[0]].shapeSignature = [-1, 16, 16, 3]
    return bases.foreign(graph)


@seed("EP307", "two outputs")
def _(bases):
    graph = bases.floats()
    graph.outputs = [*graph.outputs, graph.given(first(graph, "MEAN"))]
    return graph.packed()


@seed("EP308", "two subgraphs")
def _(bases):
    graph = bases.floats()
    graph.model.subgraphs.append(copy.deepcopy(graph.model.subgraphs[0]))
    graph.model.subgraphs[1].inputs, graph.model.subgraphs[1].outputs = graph.inputs, graph.outputs
    return bases.foreign(graph)


@seed("EP309", "channels first")
def _(bases):
    graph = bases.floats()
    pixels = graph.inputs[0]
    turned = tensor_like(graph, pixels)
    order = tensor_like(graph, pixels, dtype=TYPES.INT32, values=np.array([0, 2, 3, 1], np.int32))
    options = schema.TransposeOptionsT()
    between(graph, pixels, [lambda taken: (turned, (OPS.TRANSPOSE, [taken, order], [turned], options))])
    graph.tensors[pixels].shape = [1, 3, 16, 16]
    return graph.packed()


@seed("EP310", "batch norm behind a convolution")
def _(bases):
    graph = bases.floats()
    layer = next(n for n in range(len(graph.operators)) if graph.kind(n) == "CONV_2D" and graph.activation(n) == "NONE")
    tensor = graph.given(layer)
    factors = tensor_like(graph, tensor, values=np.linspace(0.5, 1.5, graph.shape(tensor)[3]).astype(np.float32))
    given = tensor_like(graph, tensor)
    between(graph, tensor, [lambda taken: (given, (OPS.MUL, [taken, factors], [given], schema.MulOptionsT()))])
    return bases.foreign(graph)


@seed("EP311", "no softmax")
def _(bases):
    graph = bases.floats()
    graph.outputs = [graph.given(first(graph, "FULLY_CONNECTED"))]
    del graph.operators[first(graph, "SOFTMAX")]
    return bases.foreign(graph)


@seed("EP312", "an operator whose result nobody takes")
def _(bases):
    graph = bases.floats()
    tensor = graph.given(first(graph, "MEAN"))
    insert(graph, len(graph.operators), OPS.ABS, [tensor], [tensor_like(graph, tensor)], schema.AbsOptionsT())
    return bases.foreign(graph)
