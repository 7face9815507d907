"""What a graph takes and gives: pixels and probabilities as float32, uint8 or int8, by operators at its two ends."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime.graph import TYPES, Graph

Dtype = str
DTYPES: tuple[Dtype, ...] = ("uint8", "int8", "float32")


def with_input(graph: Graph, dtype: Dtype) -> None:
    """Make the graph take pixels 0–255 as `dtype`; a byte stands for itself, an int8 for the pixel less 128."""
    tensor = graph.inputs[0]
    _check(dtype)
    if _dtype(graph, tensor) == dtype:
        return
    if graph.is_float(tensor):
        taken = _added(graph, tensor, f"pixels_as_{dtype}", dtype, scale=1.0, zero_point=_zero(dtype))
        steps = [("DEQUANTIZE", taken, tensor)]
    elif dtype == "float32":
        taken = _added(graph, tensor, "pixels_as_float32", dtype)
        steps = [("QUANTIZE", taken, tensor)]
    else:
        taken, steps = _bytes_to_integers(graph, tensor, dtype)
    graph.inputs = [taken]
    for place, (kind, given, wanted) in enumerate(steps):
        _insert(graph, place, kind, given, wanted)


def with_output(graph: Graph, dtype: Dtype) -> None:
    """Make the graph give its answers as `dtype`; float answers in steps of 1/256 where bytes are wanted."""
    _check(dtype)
    _drop_last_quantise(graph)
    tensor = graph.outputs[0]
    if _dtype(graph, tensor) == "int16" and dtype == "uint8":
        # The kernels go from int16 to int8 alone.
        with_output(graph, "int8")
        tensor = graph.outputs[0]
    if _dtype(graph, tensor) == dtype:
        return
    if dtype == "float32":
        given = _added(graph, tensor, "answers_as_float32", dtype)
        kind = "DEQUANTIZE"
    else:
        scale, zero_point = _steps(graph, tensor, dtype)
        given = _added(graph, tensor, f"answers_as_{dtype}", dtype, scale=scale, zero_point=zero_point)
        kind = "QUANTIZE"
    _insert(graph, len(graph.operators), kind, tensor, given)
    graph.outputs = [given]


def _steps(graph: Graph, tensor: int, dtype: Dtype) -> tuple[float, int]:
    """Scale and zero point of answers as bytes: those of the 8-bit tensor they come from, else of 0 to 1."""
    if _dtype(graph, tensor) not in ("int8", "uint8"):
        return 1 / 256, _zero(dtype)
    affine = graph.affine(tensor)
    return float(affine.scale[0]), int(affine.zero_point[0]) + (128 if dtype == "uint8" else -128)


def _bytes_to_integers(graph: Graph, tensor: int, dtype: Dtype) -> tuple[int, list[tuple[str, int, int]]]:
    """Bytes to what an integer graph takes inside: the kernels go from uint8 to int8, and from int8 to int16."""
    taken = _added(graph, tensor, f"pixels_as_{dtype}", dtype, scale=1.0, zero_point=_zero(dtype))
    if dtype == "uint8" and _dtype(graph, tensor) == "int16":
        between = _added(graph, tensor, "pixels_as_int8", "int8", scale=1.0, zero_point=-128)
        return taken, [("QUANTIZE", taken, between), ("QUANTIZE", between, tensor)]
    return taken, [("QUANTIZE", taken, tensor)]


def _drop_last_quantise(graph: Graph) -> None:
    """Undo the step to integers that the quantiser puts behind a float answer."""
    last = len(graph.operators) - 1
    if graph.kind(last) == "QUANTIZE" and graph.is_float(graph.taken(last)[0]):
        graph.outputs = [graph.taken(last)[0]]
        del graph.operators[last]


def _added(graph: Graph, like: int, name: str, dtype: Dtype, *, scale: float | None = None, zero_point: int = 0) -> int:
    tensor = copy.copy(graph.tensors[like])
    tensor.name, tensor.type, tensor.buffer = name.encode(), TYPES[dtype], 0
    tensor.quantization = schema.QuantizationParametersT()
    if scale is not None:
        tensor.quantization.scale = np.array([scale], np.float32)
        tensor.quantization.zeroPoint = np.array([zero_point], np.int64)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _insert(graph: Graph, place: int, kind: str, taken: int, given: int) -> None:
    operator = schema.OperatorT()
    operator.opcodeIndex = _code(graph, getattr(schema.BuiltinOperator, kind))
    operator.inputs, operator.outputs = [taken], [given]
    graph.operators.insert(place, operator)


def _code(graph: Graph, builtin: int) -> int:
    codes = graph.model.operatorCodes
    for place, code in enumerate(codes):
        if code.builtinCode == builtin:
            return place
    added = schema.OperatorCodeT()
    added.builtinCode, added.deprecatedBuiltinCode, added.version = builtin, min(builtin, 127), 2
    codes.append(added)
    return len(codes) - 1


def _dtype(graph: Graph, tensor: int) -> Dtype:
    kinds: Sequence[Dtype] = [name for name, number in TYPES.items() if number == graph.tensors[tensor].type]
    return kinds[0]


def _zero(dtype: Dtype) -> int:
    return -128 if dtype == "int8" else 0


def _check(dtype: Dtype) -> None:
    if dtype not in DTYPES:
        raise ValueError(f"Expected one of {', '.join(DTYPES)}, got '{dtype}'.")
