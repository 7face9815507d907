"""A flatbuffer as its object tree: tensors, constants and operators, read, changed and packed again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeproof.runtime.contract import Quantisation
from edgeproof.runtime.modelfile import IDENTIFIER

FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.BOOL: np.bool_,
}
TYPES = {np.dtype(dtype).name: number for number, dtype in DTYPES.items()}
_KINDS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
_ACTIVATIONS = {number: name for name, number in vars(schema.ActivationFunctionType).items() if isinstance(number, int)}


@dataclass(frozen=True, slots=True)
class Affine:
    """real = scale · (integer - zero_point); arrays of one value per tensor or per channel, float64 and int64."""

    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]


class Graph:
    """The only subgraph of a model. Tensors and operators go by their numbers; changes happen in place."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.tensors = model.subgraphs[0].tensors
        self.operators = model.subgraphs[0].operators
        self.inputs = [int(number) for number in model.subgraphs[0].inputs]
        self.outputs = [int(number) for number in model.subgraphs[0].outputs]

    @classmethod
    def read(cls, content: bytes) -> Graph:
        """The graph of a packed flatbuffer, also of one whose buffers lie behind it."""
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        for buffer in model.buffers:
            if buffer.offset > 1:
                buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
                buffer.offset = buffer.size = 0
        return cls(model)

    def packed(self) -> bytes:
        """The graph as a flatbuffer, every buffer on a 16-byte boundary."""
        subgraph = self.model.subgraphs[0]
        subgraph.inputs, subgraph.outputs = self.inputs, self.outputs
        self.model.buffers = [_aligned(buffer) for buffer in self.model.buffers]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())

    def kind(self, operator: int) -> str:
        """An operator's name in the schema, such as CONV_2D."""
        return str(_KINDS[self.model.operatorCodes[self.operators[operator].opcodeIndex].builtinCode])

    def activation(self, operator: int) -> str:
        """The function fused into an operator: NONE, RELU, RELU6 …"""
        fused = getattr(self.operators[operator].builtinOptions, "fusedActivationFunction", 0)
        return str(_ACTIVATIONS[fused])

    def name(self, tensor: int) -> str:
        """A tensor's name."""
        return str(self.tensors[tensor].name.decode())

    def shape(self, tensor: int) -> tuple[int, ...]:
        """A tensor's shape."""
        found = self.tensors[tensor].shape
        return () if found is None else tuple(int(size) for size in found)

    def is_float(self, tensor: int) -> bool:
        """Whether a tensor holds floats."""
        return self.tensors[tensor].type in FLOATS

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """The values of a constant tensor in its own dtype; None for an activation or an absent input."""
        if tensor < 0:
            return None
        data = self.model.buffers[self.tensors[tensor].buffer].data
        if data is None or len(data) == 0:
            return None
        dtype = DTYPES[self.tensors[tensor].type]
        return np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype).reshape(self.shape(tensor))

    def set_constant(self, tensor: int, values: NDArray[Any]) -> None:
        """Give a constant tensor other values of its shape; they are cast to its dtype."""
        found = self.tensors[tensor]
        content = np.frombuffer(np.ascontiguousarray(values, DTYPES[found.type]).tobytes(), np.uint8)
        # The converter lets tensors of the same bytes share one buffer; the others keep theirs.
        if sum(other.buffer == found.buffer for other in self.tensors) > 1:
            self.model.buffers.append(schema.BufferT())
            found.buffer = len(self.model.buffers) - 1
        self.model.buffers[found.buffer].data = content

    def taken(self, operator: int) -> list[int]:
        """The activations among an operator's inputs."""
        inputs = (int(tensor) for tensor in self.operators[operator].inputs)
        return [tensor for tensor in inputs if tensor >= 0 and self.constant(tensor) is None]

    def given(self, operator: int) -> int:
        """An operator's first output."""
        return int(self.operators[operator].outputs[0])

    def producer(self, tensor: int) -> int | None:
        """The operator that gives a tensor; None for inputs and constants."""
        return next((i for i, each in enumerate(self.operators) if tensor in [int(t) for t in each.outputs]), None)

    def consumers(self, tensor: int) -> list[int]:
        """The operators that take a tensor."""
        return [i for i, each in enumerate(self.operators) if tensor in [int(t) for t in each.inputs]]

    def affine(self, tensor: int) -> Affine:
        """How a quantised tensor's integers stand for real values. Raises `ValueError` for a float tensor."""
        found = self.tensors[tensor].quantization
        if self.is_float(tensor) or found is None or found.scale is None:
            raise ValueError(f"Tensor '{self.name(tensor)}' is not quantised.")
        return Affine(
            np.atleast_1d(np.asarray(found.scale, np.float64)), np.atleast_1d(np.asarray(found.zeroPoint, np.int64))
        )

    def real(self, tensor: int, values: NDArray[Any]) -> NDArray[np.float32]:
        """An activation's values as float32, whatever type it has in the file."""
        if self.is_float(tensor):
            return values.astype(np.float32, copy=False)
        affine = self.affine(tensor)
        return (values.astype(np.float32) - np.float32(affine.zero_point[0])) * np.float32(affine.scale[0])


def quantisation(flatbuffer: bytes) -> Quantisation:
    """Count operators, those that touch a float tensor, weights by the number of their scales, multiply-accumulates."""
    graph = Graph.read(flatbuffer)
    float_operators = per_channel = per_tensor = macs = integer_macs = 0
    for number, operator in enumerate(graph.operators):
        touched = [int(tensor) for tensor in (*operator.inputs, *operator.outputs) if tensor >= 0]
        float_operators += any(graph.is_float(tensor) for tensor in touched)
        if graph.kind(number) in WEIGHTED:
            weights = int(operator.inputs[1])
            scales = _scales(graph.tensors[weights])
            per_channel += len(scales) > 1
            per_tensor += len(scales) == 1
            macs += _multiply_accumulates(graph, number)
            # A float input beside integer weights is quantised while the model runs.
            integer_macs += 0 if graph.is_float(weights) else _multiply_accumulates(graph, number)
    return Quantisation(
        operators=len(graph.operators),
        float_operators=float_operators,
        per_channel_weights=per_channel,
        per_tensor_weights=per_tensor,
        multiply_accumulates=macs,
        integer_multiply_accumulates=integer_macs,
    )


def _multiply_accumulates(graph: Graph, operator: int) -> int:
    """For one picture: each weight is used once for every place of the output."""
    places = math.prod(graph.shape(graph.given(operator))[1:-1])
    return places * math.prod(graph.shape(int(graph.operators[operator].inputs[1])))


def _scales(tensor: Any) -> Any:
    found = tensor.quantization.scale if tensor.quantization is not None else None
    return np.array([]) if found is None else np.atleast_1d(found)


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]  # the generated schema has no types
    """A buffer on a 16-byte boundary, as the schema demands and its generated Python code forgets."""

    def Pack(self, builder: Any) -> int:
        data = None
        if self.data is not None and len(self.data):
            content = np.asarray(self.data, np.uint8)
            builder.StartVector(1, len(content), 16)
            builder.head = builder.head - len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content.tobytes()
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


def _aligned(buffer: Any) -> _AlignedBuffer:
    aligned = _AlignedBuffer()
    aligned.data = buffer.data
    return aligned
