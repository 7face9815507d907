"""A graph as a doctor looks at it: what makes and takes each tensor, its constants and scales, in odd files too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeproof.runtime.graph import DTYPES, WEIGHTED, Graph

_KINDS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
_TYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
_FUSED = {number: name for name, number in vars(schema.ActivationFunctionType).items() if isinstance(number, int)}
INTEGERS = ("int8", "uint8", "int16", "int4", "int2", "uint4")
FLOATS = ("float32", "float16", "bfloat16", "float64")
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


class Anatomy:
    """Looks into the first subgraph of any model; nothing is changed.

    Unlike `Graph`, it knows custom operators, operator codes of older files, types without a NumPy twin, and
    constants that are not as long as their shape demands (they count as none). Raises `ValueError` for a graph
    with numbers of tensors, buffers or operator codes that are not there.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph, self.model = graph, graph.model
        self.inputs, self.outputs = graph.inputs, graph.outputs
        _check(graph)
        self.kinds = [self._kind(operator) for operator in graph.operators]
        self.takes = [_numbers(operator.inputs) for operator in graph.operators]
        self.gives = [_numbers(operator.outputs) for operator in graph.operators]
        self.maker = {tensor: number for number, given in enumerate(self.gives) for tensor in given}
        self.takers: dict[int, list[int]] = {}
        for number, taken in enumerate(self.takes):
            for tensor in taken:
                self.takers.setdefault(tensor, []).append(number)
        self._constants: dict[int, NDArray[Any] | None] = {}

    def __len__(self) -> int:
        return len(self.kinds)

    def of_kind(self, *kinds: str) -> list[int]:
        """The operators of some kinds."""
        return [number for number, kind in enumerate(self.kinds) if kind in kinds]

    def weighted(self) -> list[int]:
        """The convolutions and dense layers."""
        return [number for number in self.of_kind(*WEIGHTED) if len(self.takes[number]) > 1]

    def version(self, operator: int) -> int:
        """The version of an operator's code."""
        return int(self.model.operatorCodes[self.graph.operators[operator].opcodeIndex].version)

    def is_custom(self, operator: int) -> bool:
        """Whether an operator is none of the schema's own."""
        return bool(_code(self.model.operatorCodes[self.graph.operators[operator].opcodeIndex]) == _CUSTOM)

    def activation(self, operator: int) -> str:
        """The function fused into an operator: NONE, RELU, RELU6 …"""
        fused = getattr(self.graph.operators[operator].builtinOptions, "fusedActivationFunction", 0)
        return str(_FUSED.get(fused, "NONE"))

    def dtype(self, tensor: int) -> str:
        """A tensor's type, as NumPy would call it."""
        return str(_TYPES.get(self.graph.tensors[tensor].type, "unknown"))

    def shape(self, tensor: int) -> tuple[int, ...]:
        """A tensor's shape."""
        return self.graph.shape(tensor)

    def signature(self, tensor: int) -> tuple[int, ...]:
        """A tensor's shape with -1 for sides that may change; its plain shape where nothing is said."""
        return tuple(_numbers(self.graph.tensors[tensor].shapeSignature)) or self.shape(tensor)

    def name(self, tensor: int) -> str:
        """A tensor's name; its number where it has none."""
        found = self.graph.tensors[tensor].name
        return found.decode("utf-8", "replace") if found else f"tensor {tensor}"

    def title(self, operator: int) -> str:
        """An operator for people: its number and kind, and what it gives."""
        given = self.gives[operator]
        behind = f" '{_short(self.name(given[0]))}'" if given else ""
        return f"{operator} {self.kinds[operator]}{behind}"

    def stored(self, tensor: int) -> int:
        """How many bytes of constants a tensor has in the file."""
        data = self.model.buffers[self.graph.tensors[tensor].buffer].data
        return 0 if data is None else len(data)

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """A constant's values in their own dtype; None for an activation, and for what NumPy cannot hold."""
        if tensor not in self._constants:
            self._constants[tensor] = self._read(tensor) if tensor >= 0 else None
        return self._constants[tensor]

    def weights(self, operator: int) -> NDArray[Any] | None:
        """The weights of a convolution or dense layer, also those that are turned into float32 at load."""
        tensor = self.takes[operator][1]
        made = self.maker.get(tensor)
        if made is not None and self.kinds[made] == "DEQUANTIZE" and self.takes[made]:
            tensor = self.takes[made][0]
        return self.constant(tensor)

    def channels_last(self, operator: int) -> bool:
        """Whether the filters of a layer's weights lie along their last side and not their first."""
        return self.kinds[operator] == "DEPTHWISE_CONV_2D"

    def scales(self, tensor: int) -> NDArray[np.float64]:
        """A tensor's scales: one, one a channel, or none."""
        return self._quantities(tensor, "scale", np.float64)

    def zero_points(self, tensor: int) -> NDArray[np.int64]:
        """A tensor's zero points, as many as scales; zeros where they are left out."""
        found = self._quantities(tensor, "zeroPoint", np.int64)
        return found if len(found) else np.zeros(len(self.scales(tensor)), np.int64)

    def scale(self, tensor: int) -> float:
        """The only scale of an integer tensor; not a number where it has none, or several."""
        found = self.scales(tensor)
        return float(found[0]) if len(found) == 1 and self.is_integer(tensor) else math.nan

    def axis(self, tensor: int) -> int:
        """The side along which a tensor has a scale each."""
        found = self.graph.tensors[tensor].quantization
        return int(found.quantizedDimension) if found is not None else 0

    def is_integer(self, tensor: int) -> bool:
        """Whether a tensor holds small integers, which stand for real values."""
        return self.dtype(tensor) in INTEGERS

    def is_float(self, tensor: int) -> bool:
        """Whether a tensor holds floats."""
        return self.dtype(tensor) in FLOATS

    def _quantities(self, tensor: int, field: str, dtype: Any) -> NDArray[Any]:
        found = getattr(self.graph.tensors[tensor].quantization, field, None)
        return np.array([], dtype) if found is None else np.atleast_1d(np.asarray(found, dtype))

    def _kind(self, operator: Any) -> str:
        code = self.model.operatorCodes[operator.opcodeIndex]
        number = _code(code)
        if number == _CUSTOM:
            return code.customCode.decode("utf-8", "replace") if code.customCode else "custom"
        return str(_KINDS.get(number, f"operator code {number}"))

    def _read(self, tensor: int) -> NDArray[Any] | None:
        found = self.graph.tensors[tensor]
        data, dtype = self.model.buffers[found.buffer].data, DTYPES.get(found.type)
        if data is None or dtype is None:
            return None
        values = np.asarray(data, np.uint8)
        if not len(values) or len(values) != math.prod(self.shape(tensor)) * np.dtype(dtype).itemsize:
            return None
        return np.frombuffer(values.tobytes(), dtype).reshape(self.shape(tensor))


_CUSTOM = schema.BuiltinOperator.CUSTOM


def _code(code: Any) -> int:
    """Files of before 2020 have their code in the older field alone, newer ones a placeholder there."""
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _check(graph: Graph) -> None:
    tensors, buffers, codes = len(graph.tensors), len(graph.model.buffers), len(graph.model.operatorCodes or [])
    for number, operator in enumerate(graph.operators):
        # An input that is left away is -1.
        if any(not -1 <= each < tensors for each in _numbers(operator.inputs)):
            raise ValueError(f"operator {number} takes a tensor that is not there")
        if any(not 0 <= each < tensors for each in _numbers(operator.outputs)):
            raise ValueError(f"operator {number} gives a tensor that is not there")
        if not 0 <= operator.opcodeIndex < codes:
            raise ValueError(f"operator {number} has a code that is not there")
    for number, tensor in enumerate(graph.tensors):
        if not 0 <= tensor.buffer < buffers:
            raise ValueError(f"tensor {number} has a buffer that is not there")
    if any(not 0 <= each < tensors for each in (*graph.inputs, *graph.outputs)):
        raise ValueError("an input or output is a tensor that is not there")


def _numbers(found: Any) -> list[int]:
    return [] if found is None else [int(number) for number in found]


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else f"…{name[1 - most :]}"
