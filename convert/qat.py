"""Quantisation-aware training: the recipe `int8-qat`, with the toolkit in a process of its own."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeproof.convert import process
from edgeproof.convert.finetuning import Finetuning
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels

QatSettings = Finetuning
DEFAULT = QatSettings()


def qat(
    model: Any,
    *,
    calibration_pixels: Pixels,
    train: LabelledPictures,
    settings: QatSettings = DEFAULT,
    output: Literal["uint8", "float32"] = "float32",
) -> bytes:
    """Train a Keras 3 classifier of pixels 0–255 for int8; the flatbuffer takes uint8 pixels, each for itself.

    `calibration_pixels` has shape (n, height, width, 3), uint8, and sets the ranges of the activations before the
    training. With `output="uint8"` all is integers, up to probabilities in steps of 1/256. With "float32" the last
    layer computes float logits from its int8 weights, and the softmax is float. Raises `ModelError` for a model
    that cannot be taken apart, or when the toolkit fails.
    """
    content = process.run(
        model,
        train,
        calibration=calibration_pixels,
        description="Quantisation-aware",
        task="quantise",
        settings=settings,
        output=output,
    )
    return content if output == "uint8" else _with_float_head(content)


def _with_float_head(content: bytes) -> bytes:
    """Add a float softmax to a graph that ends in the step from integers to floats.

    Where that step follows a dense layer, the layer gives float logits from its int8 weights as they are: 256 steps
    for the logits would make ties. LiteRT rounds what the layer takes by itself then.
    """
    graph = Graph.read(content)
    if graph.kind(len(graph.operators) - 2) == "FULLY_CONNECTED":
        _give_floats(graph)
    answers, softmax = _float_tensor(graph, "probabilities", graph.shape(graph.outputs[0])), schema.OperatorT()
    softmax.opcodeIndex = _softmax_code(graph)
    softmax.inputs, softmax.outputs = graph.outputs, [answers]
    softmax.builtinOptionsType, softmax.builtinOptions = schema.BuiltinOptions.SoftmaxOptions, schema.SoftmaxOptionsT()
    softmax.builtinOptions.beta = 1.0
    graph.operators.append(softmax)
    graph.outputs = [answers]
    return graph.packed()


def _give_floats(graph: Graph) -> None:
    """Take the last step, from integers to floats, before the dense layer that stands before it."""
    dense, step = graph.operators[-2:]
    taken, weights, bias = (int(tensor) for tensor in dense.inputs)
    features = _float_tensor(graph, "features", graph.shape(taken))
    integers = np.asarray(graph.constant(bias), np.float64)
    exact = (integers * graph.affine(bias).scale).astype(np.float32)
    dense.inputs = [features, weights, _float_tensor(graph, "bias", graph.shape(bias), exact)]
    dense.outputs, dense.builtinOptions.asymmetricQuantizeInputs = step.outputs, True
    step.inputs, step.outputs = [taken], [features]
    graph.operators[-2:] = [step, dense]


def _float_tensor(graph: Graph, name: str, shape: tuple[int, ...], values: Any = None) -> int:
    tensor, buffer = schema.TensorT(), schema.BufferT()
    if values is not None:
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    graph.model.buffers.append(buffer)
    tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), schema.TensorType.FLOAT32
    tensor.buffer = len(graph.model.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _softmax_code(graph: Graph) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX
    code.version = 1
    graph.model.operatorCodes.append(code)
    return len(graph.model.operatorCodes) - 1
