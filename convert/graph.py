"""What a flatbuffer says of itself: its tensors, and what its operators compute in. Read, never assumed."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime.contract import Quantisation

FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
WEIGHTED = (
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
)


def model_of(flatbuffer: bytes) -> Any:
    """The flatbuffer as the schema's object tree."""
    return schema.ModelT.InitFromPackedBuf(flatbuffer, 0)


def quantisation(flatbuffer: bytes) -> Quantisation:
    """Count operators, those that touch a float tensor, and weights by the number of their scales."""
    model = model_of(flatbuffer)
    graph = model.subgraphs[0]
    float_operators = per_channel = per_tensor = 0
    for operator in graph.operators:
        touched = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        float_operators += any(tensor.type in FLOATS for tensor in touched)
        if model.operatorCodes[operator.opcodeIndex].builtinCode in WEIGHTED:
            scales = _scales(graph.tensors[operator.inputs[1]])
            per_channel += len(scales) > 1
            per_tensor += len(scales) == 1
    return Quantisation(
        operators=len(graph.operators),
        float_operators=float_operators,
        per_channel_weights=per_channel,
        per_tensor_weights=per_tensor,
    )


def _scales(tensor: Any) -> Any:
    found = tensor.quantization.scale if tensor.quantization is not None else None
    return np.array([]) if found is None else np.atleast_1d(found)
