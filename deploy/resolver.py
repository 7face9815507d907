"""The operators that a graph uses, as the calls that add their kernels to TFLite Micro's `MicroMutableOpResolver`."""

from __future__ import annotations

from edgeproof.runtime import structure
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.graph import Graph

# The schema's name of an operator, and what stands behind `Add` in micro_mutable_op_resolver.h.
KERNELS = {
    **{"ABS": "Abs", "ADD": "Add", "ADD_N": "AddN", "ARG_MAX": "ArgMax", "ARG_MIN": "ArgMin"},
    **{"ASSIGN_VARIABLE": "AssignVariable", "AVERAGE_POOL_2D": "AveragePool2D", "BATCH_MATMUL": "BatchMatMul"},
    **{"BATCH_TO_SPACE_ND": "BatchToSpaceNd", "BROADCAST_ARGS": "BroadcastArgs", "BROADCAST_TO": "BroadcastTo"},
    **{"CALL_ONCE": "CallOnce", "CAST": "Cast", "CEIL": "Ceil", "CONCATENATION": "Concatenation"},
    **{"CONV_2D": "Conv2D", "COS": "Cos", "CUMSUM": "CumSum", "DEPTH_TO_SPACE": "DepthToSpace"},
    **{"DEPTHWISE_CONV_2D": "DepthwiseConv2D", "DEQUANTIZE": "Dequantize", "DIV": "Div", "ELU": "Elu"},
    **{"EQUAL": "Equal", "EXP": "Exp", "EXPAND_DIMS": "ExpandDims", "FILL": "Fill", "FLOOR": "Floor"},
    **{"FLOOR_DIV": "FloorDiv", "FLOOR_MOD": "FloorMod", "FULLY_CONNECTED": "FullyConnected", "GATHER": "Gather"},
    **{"GATHER_ND": "GatherNd", "GREATER": "Greater", "GREATER_EQUAL": "GreaterEqual", "HARD_SWISH": "HardSwish"},
    **{"IF": "If", "L2_NORMALIZATION": "L2Normalization", "L2_POOL_2D": "L2Pool2D", "LEAKY_RELU": "LeakyRelu"},
    **{"LESS": "Less", "LESS_EQUAL": "LessEqual", "LOG": "Log", "LOG_SOFTMAX": "LogSoftmax"},
    **{"LOGICAL_AND": "LogicalAnd", "LOGICAL_NOT": "LogicalNot", "LOGICAL_OR": "LogicalOr", "LOGISTIC": "Logistic"},
    **{"MAXIMUM": "Maximum", "MAX_POOL_2D": "MaxPool2D", "MEAN": "Mean", "MINIMUM": "Minimum"},
    **{"MIRROR_PAD": "MirrorPad", "MUL": "Mul", "NEG": "Neg", "NOT_EQUAL": "NotEqual", "PACK": "Pack", "PAD": "Pad"},
    **{"PADV2": "PadV2", "PRELU": "Prelu", "QUANTIZE": "Quantize", "READ_VARIABLE": "ReadVariable"},
    **{"REDUCE_MAX": "ReduceMax", "RELU": "Relu", "RELU6": "Relu6", "RESHAPE": "Reshape"},
    **{"RESIZE_BILINEAR": "ResizeBilinear", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor", "ROUND": "Round"},
    **{"RSQRT": "Rsqrt", "SELECT_V2": "SelectV2", "SHAPE": "Shape", "SIN": "Sin", "SLICE": "Slice"},
    **{"SOFTMAX": "Softmax", "SPACE_TO_BATCH_ND": "SpaceToBatchNd", "SPACE_TO_DEPTH": "SpaceToDepth"},
    **{"SPLIT": "Split", "SPLIT_V": "SplitV", "SQRT": "Sqrt", "SQUARE": "Square"},
    **{"SQUARED_DIFFERENCE": "SquaredDifference", "SQUEEZE": "Squeeze", "STRIDED_SLICE": "StridedSlice"},
    **{"SUB": "Sub", "SUM": "Sum", "SVDF": "Svdf", "TANH": "Tanh", "TRANSPOSE": "Transpose"},
    **{"TRANSPOSE_CONV": "TransposeConv", "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM"},
    **{"UNPACK": "Unpack", "VAR_HANDLE": "VarHandle", "WHILE": "While", "ZEROS_LIKE": "ZerosLike"},
}


def calls(flatbuffer: bytes) -> tuple[str, ...]:
    """The calls in alphabetical order, such as AddConv2D. Raises `ModelError` for an operator that it lacks."""
    structure.check(flatbuffer)
    graph = Graph.read(flatbuffer)
    kinds = {graph.kind(number) for number in range(len(graph.operators))}
    lacking = sorted(kinds - set(KERNELS))
    if lacking:
        raise ModelError(f"TFLite Micro has no kernel of {', '.join(lacking)}. Convert the model without.")
    return tuple(sorted(f"Add{KERNELS[kind]}" for kind in kinds))
