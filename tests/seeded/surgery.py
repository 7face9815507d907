"""Cutting and sewing of small graphs, from which the seeded defects are made."""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime import modelfile

OPS, TYPES = schema.BuiltinOperator, schema.TensorType


def first(graph, kind):
    """The first operator of a kind."""
    return next(n for n in range(len(graph.operators)) if graph.kind(n) == kind)


def weights_of(graph, kind):
    """The weights' tensor of the first layer of a kind."""
    return int(graph.operators[first(graph, kind)].inputs[1])


def bias_of(graph, kind):
    return int(graph.operators[first(graph, kind)].inputs[2])


def code(graph, builtin):
    """A new operator code's number."""
    added = schema.OperatorCodeT()
    added.builtinCode, added.deprecatedBuiltinCode = builtin, min(builtin, 127)
    added.version = 1
    graph.model.operatorCodes.append(added)
    return len(graph.model.operatorCodes) - 1


def tensor_like(graph, number, *, dtype=None, values=None, shape=None, scale=None, zero=0):
    """A new tensor's number; a constant where there are values."""
    added = copy.copy(graph.tensors[number])
    added.name = f"added {len(graph.tensors)}".encode()
    added.buffer, added.quantization, added.shapeSignature = 0, None, None
    added.type = added.type if dtype is None else dtype
    added.shape = added.shape if shape is None else shape
    if values is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        graph.model.buffers.append(buffer)
        added.buffer, added.shape = len(graph.model.buffers) - 1, list(values.shape)
    if scale is not None:
        set_scales(added, np.atleast_1d(scale), np.full(np.size(scale), zero))
    graph.tensors.append(added)
    return len(graph.tensors) - 1


def set_scales(tensor, scales, zeros, axis=0):
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.asarray(scales, np.float32)
    tensor.quantization.zeroPoint = np.asarray(zeros, np.int64)
    tensor.quantization.quantizedDimension = axis


def insert(graph, place, builtin, inputs, outputs, options=None):
    operator = schema.OperatorT()
    operator.opcodeIndex = code(graph, builtin)
    operator.inputs, operator.outputs = inputs, outputs
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    graph.operators.insert(place, operator)


def between(graph, tensor, makers):
    """Put operators behind an activation; each maker turns a tensor into the next. Its takers get the last."""
    takers = graph.consumers(tensor)
    place, given = min(takers), tensor
    steps = []
    for maker in makers:
        given, step = maker(given)
        steps.append(step)
    for taker in takers:
        graph.operators[taker].inputs = [given if int(t) == tensor else int(t) for t in graph.operators[taker].inputs]
    for number, step in enumerate(steps):
        insert(graph, place + number, *step)


def behind_the_mean(graph, builtin):
    """Put an operator of one input and no options behind the pooling."""
    tensor = graph.given(first(graph, "MEAN"))
    given = tensor_like(graph, tensor)
    between(graph, tensor, [lambda taken: (given, (builtin, [taken], [given]))])
    return graph


def replaced(archive_of, name, content):
    """A packed file with one appended file replaced, added or (None) removed, packed as it was."""
    files, start = modelfile._attachments(archive_of, None)
    files = {**files, name: content}
    return modelfile.pack(archive_of[:start], {n: c for n, c in files.items() if c is not None})


def rescaled(graph, kind, scales):
    """Give a layer's weights other scales, and its bias what fits to them."""
    operator = graph.operators[first(graph, kind)]
    weights, bias = graph.tensors[int(operator.inputs[1])], graph.tensors[int(operator.inputs[2])]
    step = graph.affine(int(operator.inputs[0])).scale[0]
    axis = weights.quantization.quantizedDimension
    set_scales(weights, scales, np.zeros(len(scales)), axis)
    set_scales(bias, np.asarray(scales) * step, np.zeros(len(scales)))
    return graph
