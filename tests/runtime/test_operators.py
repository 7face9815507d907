import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgeproof.runtime import ModelError, operators, structure
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.shapes import Operand

OPS, KINDS = schema.BuiltinOperator, schema.TensorType
INT = np.int32


def options(name, **values):
    found = getattr(schema, f"{name}T")()
    for key, value in values.items():
        setattr(found, key, value)
    return getattr(schema.BuiltinOptions, name), found


def window(name="Conv2DOptions", *, stride=1, same=True, **values):
    return options(name, strideH=stride, strideW=stride, padding=0 if same else 1, **values)


NONE = (0, None)
PICTURE = (1, 9, 10, 4)
# Operator, what it takes (a shape for floats, an array for a constant), its options, what it must give.
CASES = {
    "conv same": (
        "CONV_2D",
        [PICTURE, np.ones((5, 3, 3, 4), np.float32), np.ones(5, np.float32)],
        window(stride=2),
        (1, 5, 5, 5),
    ),
    "conv valid": (
        "CONV_2D",
        [PICTURE, np.ones((5, 3, 2, 4), np.float32), np.ones(5, np.float32)],
        window(same=False),
        (1, 7, 9, 5),
    ),
    "conv dilated": (
        *("CONV_2D", [PICTURE, np.ones((5, 3, 3, 4), np.float32), np.ones(5, np.float32)]),
        *(window(same=False, dilationHFactor=2, dilationWFactor=3), (1, 5, 4, 5)),
    ),
    "depthwise": (
        *("DEPTHWISE_CONV_2D", [PICTURE, np.ones((1, 3, 3, 8), np.float32), np.ones(8, np.float32)]),
        *(window("DepthwiseConv2DOptions", stride=3, depthMultiplier=2), (1, 3, 4, 8)),
    ),
    "dense": (
        "FULLY_CONNECTED",
        [(2, 6), np.ones((3, 6), np.float32), np.ones(3, np.float32)],
        options("FullyConnectedOptions"),
        (2, 3),
    ),
    "dense of a picture": (
        "FULLY_CONNECTED",
        [(1, 2, 3), np.ones((4, 6), np.float32)],
        options("FullyConnectedOptions"),
        (1, 4),
    ),
    "dense that keeps": (
        "FULLY_CONNECTED",
        [(2, 5, 6), np.ones((3, 6), np.float32)],
        options("FullyConnectedOptions", keepNumDims=True),
        (2, 5, 3),
    ),
    "average": (
        "AVERAGE_POOL_2D",
        [PICTURE],
        window("Pool2DOptions", stride=2, filterHeight=3, filterWidth=2),
        (1, 5, 5, 4),
    ),
    "largest": (
        "MAX_POOL_2D",
        [PICTURE],
        window("Pool2DOptions", stride=2, same=False, filterHeight=3, filterWidth=2),
        (1, 4, 5, 4),
    ),
    "mean": ("MEAN", [PICTURE, np.array([1, -2], INT)], options("ReducerOptions"), (1, 4)),
    "mean that keeps": (
        "MEAN",
        [PICTURE, np.array([1, 2], INT)],
        options("ReducerOptions", keepDims=True),
        (1, 1, 1, 4),
    ),
    "sum": ("ADD", [PICTURE, np.ones((1, 1, 1, 4), np.float32)], options("AddOptions"), PICTURE),
    "product of vectors": ("MUL", [(1, 1, 1, 4), PICTURE], options("MulOptions"), PICTURE),
    "difference": ("SUB", [PICTURE, np.ones((4,), np.float32)], options("SubOptions"), PICTURE),
    "reshape": ("RESHAPE", [PICTURE, np.array([1, -1], INT)], NONE, (1, 360)),
    "reshape by its options": ("RESHAPE", [(1, 6)], options("ReshapeOptions", newShape=[2, 3]), (2, 3)),
    "squeeze": ("SQUEEZE", [(1, 1, 4)], options("SqueezeOptions", squeezeDims=[1]), (1, 4)),
    "expand": ("EXPAND_DIMS", [(1, 4), np.array([-1], INT)], NONE, (1, 4, 1)),
    "pad": ("PAD", [PICTURE, np.array([[0, 0], [1, 2], [3, 0], [0, 0]], INT)], options("PadOptions"), (1, 12, 13, 4)),
    "concatenation": ("CONCATENATION", [(1, 2, 3), (1, 2, 5)], options("ConcatenationOptions", axis=-1), (1, 2, 8)),
    "transpose": ("TRANSPOSE", [PICTURE, np.array([0, 3, 1, 2], INT)], options("TransposeOptions"), (1, 4, 9, 10)),
    "softmax": ("SOFTMAX", [(1, 7)], options("SoftmaxOptions", beta=1.0), (1, 7)),
    "resize": ("RESIZE_BILINEAR", [PICTURE, np.array([3, 20], INT)], options("ResizeBilinearOptions"), (1, 3, 20, 4)),
    "space to depth": ("SPACE_TO_DEPTH", [(1, 4, 6, 3)], options("SpaceToDepthOptions", blockSize=2), (1, 2, 3, 12)),
    "depth to space": ("DEPTH_TO_SPACE", [(1, 2, 3, 12)], options("DepthToSpaceOptions", blockSize=2), (1, 4, 6, 3)),
    "cut": (
        *("STRIDED_SLICE", [PICTURE, *(np.array(each, INT) for each in ([0, 1, 0, -3], [0, 0, 9, -1], [1, 2, 3, 1]))]),
        *(options("StridedSliceOptions", beginMask=1, endMask=3, shrinkAxisMask=1), (4, 3, 2)),
    ),
    "slice": ("SLICE", [PICTURE, np.array([0, 1, 2, 0], INT), np.array([1, 3, -1, 4], INT)], NONE, (1, 3, 8, 4)),
    "gather": ("GATHER", [PICTURE, np.array([0, 3], INT)], options("GatherOptions", axis=3), (1, 9, 10, 2)),
    "pack": ("PACK", [(1, 4), (1, 4)], options("PackOptions", valuesCount=2, axis=1), (1, 2, 4)),
    "matrices": ("BATCH_MATMUL", [(2, 3, 4), (2, 5, 4)], options("BatchMatMulOptions", adjY=True), (2, 3, 5)),
    "hard swish": ("HARD_SWISH", [PICTURE], NONE, PICTURE),
    "logistic": ("LOGISTIC", [PICTURE], NONE, PICTURE),
}


def graph_of(new_graph, kind, taken, chosen, shape):
    parts = new_graph()
    tensors, firsts = [], []
    for number, each in enumerate(taken):
        if isinstance(each, np.ndarray):
            dtype = KINDS.INT32 if each.dtype == INT else KINDS.FLOAT32
            tensors.append(parts.tensor(f"constant{number}", list(each.shape), dtype, values=each))
        else:
            tensors.append(parts.tensor(f"input{number}", list(each)))
            firsts.append(tensors[-1])
    given = parts.operator(getattr(OPS, kind), tensors, parts.tensor("output", list(shape)), *chosen)
    content = parts.packed(firsts[0], given)
    if len(firsts) == 1:
        return content
    graph = Graph.read(content)
    graph.inputs = firsts
    return graph.packed()


@pytest.mark.parametrize("case", CASES)
def test_the_rules_give_the_shapes_that_litert_gives(case, new_graph):
    kind, taken, chosen, shape = CASES[case]
    content = graph_of(new_graph, kind, taken, chosen, shape)
    assert structure.check(content).operators == (kind,)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    assert tuple(interpreter.get_output_details()[0]["shape"]) == shape


@pytest.mark.parametrize("case", CASES)
def test_an_output_of_another_shape_is_refused(case, new_graph):
    kind, taken, chosen, shape = CASES[case]
    with pytest.raises(ModelError, match=rf"operator 0 \({kind}\) "):
        structure.check(graph_of(new_graph, kind, taken, chosen, (*shape[:-1], shape[-1] + 1)))


def test_the_numbers_are_those_of_the_schema():
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    assert {number: kind.name for number, kind in operators.KINDS.items()} == {n: names[n] for n in operators.KINDS}


def test_the_options_are_those_that_the_schema_gives_an_operator(new_graph):
    # A converter writes what the schema's own table of options says; these have a name of their own.
    other = {"MEAN": "Reducer", "SUM": "Reducer", "FULLY_CONNECTED": "FullyConnected", "L2_NORMALIZATION": "L2Norm"}
    other |= {f"REDUCE_{each}": "Reducer" for each in ("PROD", "MAX", "MIN")}
    other |= {f"{each}_POOL_2D": "Pool2D" for each in ("AVERAGE", "MAX", "L2")}
    for kind in [kind for kind in operators.KINDS.values() if kind.options]:
        plain = "".join(part.capitalize() for part in kind.name.replace("CONV_2D", "CONV2D").split("_"))
        plain = {"BatchMatmul": "BatchMatMul"}.get(plain, plain).replace("Conv2d", "Conv2D")
        name = other.get(kind.name, plain)
        assert kind.options == getattr(schema.BuiltinOptions, f"{name}Options"), kind.name


def test_multiply_accumulates_are_counted_once_for_every_place():
    taken, weights, given = (Operand("", shape, "float32") for shape in ((1, 8, 8, 3), (5, 3, 3, 3), (1, 4, 4, 5)))
    assert operators.multiply_accumulates("CONV_2D", [taken, weights, None], [given]) == 16 * 135
    assert operators.multiply_accumulates("SOFTMAX", [taken], [taken]) == 0
