"""The operators of an image classifier by their numbers in the TFLite schema: inputs, options, and their rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgeproof.runtime import shapes
from edgeproof.runtime.shapes import Operands, Options, Shape, Unfit, constant
from edgeproof.runtime.tables import Field

ANY_NUMBER = range(1, 1025)
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of operator: how many inputs it takes, its rule, and where its options lie.

    `types`: `same` where all inputs and outputs are of one type, `first` where the outputs are of the first input's,
    `own` where the rule sees to it.
    `scaled`: its integers need a scale. `optional`: LiteRT runs it without options.
    """

    name: str
    inputs: range
    rule: Callable[[Operands, Options, Operands], Shape | None]
    options: int = 0
    fields: Mapping[str, Field] = field(default_factory=dict)
    types: str = "same"
    scaled: bool = True
    optional: bool = False


def _transposed(inputs: Operands, options: Options, given: Operands) -> Shape:
    shape, order = inputs[0].shape, constant(inputs[1], "dimensions")
    if sorted(order) != list(range(len(shape))) or len(shape) > 6:
        raise Unfit(f"puts the dimensions of {shape} in the order {order[:8]}")
    return tuple(shape[axis] for axis in order)


def _squeezed(inputs: Operands, options: Options, given: Operands) -> Shape:
    shape, named = inputs[0].shape, options["axes"]
    axes = {int(axis) for axis in named} if named is not None and len(named) else None
    if axes is not None and not all(-len(shape) <= axis < len(shape) for axis in axes):
        raise Unfit(f"has axes {sorted(axes)[:8]} of {len(shape)} dimensions")
    gone = {axis % len(shape) for axis in axes} if axes is not None else {a for a, n in enumerate(shape) if n == 1}
    if any(shape[axis] != 1 for axis in gone):
        raise Unfit(f"takes away dimensions of {shape} that are not 1")
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


def _expanded(inputs: Operands, options: Options, given: Operands) -> Shape:
    shape, rank = inputs[0].shape, len(inputs[0].shape) + 1
    axes = constant(inputs[1], "axes")
    if len(axes) != 1 or not -rank <= axes[0] < rank:
        raise Unfit(f"has axes {axes[:8]} of {rank} dimensions")
    place = axes[0] % rank
    return *shape[:place], 1, *shape[place:]


def _resized(inputs: Operands, options: Options, given: Operands) -> Shape:
    batch, _, _, channels = shapes.rank(inputs[0], 4)
    size = constant(inputs[1], "sizes")
    if len(size) != 2 or not all(1 <= side <= shapes.WINDOW_LIMIT for side in size):
        raise Unfit(f"makes a picture of {size[:8]}")
    return batch, size[0], size[1], channels


def _measured(inputs: Operands, options: Options, given: Operands) -> Shape:
    if given[0].dtype not in ("int32", "int64"):
        raise Unfit(f"gives a shape as {given[0].dtype}")
    return (len(inputs[0].shape),)


def _cut(inputs: Operands, options: Options, given: Operands) -> Shape:
    """The parts of a tensor from `begin` on, in steps; a bit of a mask for each dimension."""
    shape = inputs[0].shape
    begin, end, steps = (constant(each, "bounds") for each in inputs[1:4])
    if not len(begin) == len(end) == len(steps) == len(shape) or 0 in steps or options["ellipsis"] or options["new"]:
        raise Unfit(f"cuts {shape} from {begin[:8]} to {end[:8]} in steps {steps[:8]}")
    found = []
    for axis, size in enumerate(shape):
        bit = 1 << axis
        first = None if options["begin"] & bit else begin[axis]
        last = None if options["end"] & bit else end[axis]
        if options["shrink"] & bit:
            if not -size <= begin[axis] < size:
                raise Unfit(f"takes number {begin[axis]} of {size}")
            continue
        found.append(len(range(*slice(first, last, steps[axis]).indices(size))))
    return tuple(found)


def _sliced(inputs: Operands, options: Options, given: Operands) -> Shape:
    shape, begin, sizes = inputs[0].shape, constant(inputs[1], "bounds"), constant(inputs[2], "bounds")
    if not len(begin) == len(sizes) == len(shape):
        raise Unfit(f"cuts {shape} at {begin[:8]}")
    found = tuple(n - b if size == -1 else size for n, b, size in zip(shape, begin, sizes, strict=True))
    if any(b < 0 or size < 1 or b + size > n for n, b, size in zip(shape, begin, found, strict=True)):
        raise Unfit(f"cuts {shape} at {begin[:8]} to {sizes[:8]}")
    return found


def _packed(inputs: Operands, options: Options, given: Operands) -> Shape:
    shape, rank = inputs[0].shape, len(inputs[0].shape) + 1
    if options["count"] != len(inputs) or not -rank <= options["axis"] < rank or len({i.shape for i in inputs}) > 1:
        raise Unfit(f"packs {len(inputs)} inputs such as {shape} along dimension {options['axis']}")
    place = options["axis"] % rank
    return *shape[:place], len(inputs), *shape[place:]


def _split(inputs: Operands, options: Options, given: Operands) -> Shape:
    axis, shape = constant(inputs[0], "axes"), inputs[1].shape
    if len(axis) != 1 or not -len(shape) <= axis[0] < len(shape) or options["count"] != len(given):
        raise Unfit(f"splits {shape} in {options['count']} along {axis[:8]}")
    place = axis[0] % len(shape)
    unequal = len({(each.shape, each.dtype) for each in (*given, inputs[1])}) > 2
    if shape[place] % len(given) or unequal or given[0].dtype != inputs[1].dtype:
        raise Unfit(f"splits {shape} in {len(given)} along {place}")
    return *shape[:place], shape[place] // len(given), *shape[place + 1 :]


def _gathered(inputs: Operands, options: Options, given: Operands) -> Shape:
    shape, axis, places = inputs[0].shape, options["axis"], constant(inputs[1], "places")
    if not -len(shape) <= axis < len(shape) or options["batch"] != 0:
        raise Unfit(f"gathers along dimension {axis} of {len(shape)}")
    axis %= len(shape)
    if not all(0 <= place < shape[axis] for place in places):
        raise Unfit(f"gathers from places outside of 0 to {shape[axis] - 1}")
    return *shape[:axis], *inputs[1].shape, *shape[axis + 1 :]


def _product(inputs: Operands, options: Options, given: Operands) -> Shape:
    one, other = (each.shape for each in inputs)
    if len(one) != len(other) or not 2 <= len(one) <= 5 or inputs[0].dtype not in ("float32", "int8", "int16"):
        raise Unfit(f"multiplies {one} with {other}")
    rows, inner = (one[-1], one[-2]) if options["turn_first"] else (one[-2], one[-1])
    also, columns = (other[-1], other[-2]) if options["turn_second"] else (other[-2], other[-1])
    if inner != also:
        raise Unfit(f"multiplies {one} with {other}")
    outer = shapes.broadcast([shapes.Operand("", each[:-2], "") for each in (one, other)], {}, given)
    return *outer, rows, columns


def _blocks(sign: int) -> Callable[[Operands, Options, Operands], Shape]:
    def rule(inputs: Operands, options: Options, given: Operands) -> Shape:
        batch, height, width, channels = shapes.rank(inputs[0], 4)
        block = options["block"]
        if not 1 <= block <= 64 or (height % block or width % block if sign > 0 else channels % block**2):
            raise Unfit(f"has blocks of {block} on {inputs[0].shape}")
        if sign > 0:
            return batch, height // block, width // block, channels * block**2
        return batch, height * block, width * block, channels // block**2

    return rule


def _cast(inputs: Operands, options: Options, given: Operands) -> Shape:
    if "int4" in (inputs[0].dtype, given[0].dtype):
        raise Unfit("casts int4")
    return shapes.same(inputs, options, given)


def _quantised(inputs: Operands, options: Options, given: Operands) -> Shape:
    if given[0].dtype not in ("int8", "uint8", "int16") or inputs[0].dtype not in ("float32", "int8", "uint8", "int16"):
        raise Unfit(f"makes {inputs[0].dtype} to {given[0].dtype}")
    return shapes.same(inputs, options, given)


def _dequantised(inputs: Operands, options: Options, given: Operands) -> Shape:
    if given[0].dtype != "float32" or inputs[0].dtype not in ("int8", "uint8", "int16", "float16"):
        raise Unfit(f"makes {inputs[0].dtype} to {given[0].dtype}")
    return shapes.same(inputs, options, given)


def _fields(**fields: tuple[int, str]) -> dict[str, Field]:
    """Options that are zero where a file leaves them out, as everything in the schema but dilations."""
    return {name: Field(slot, kind, None if "[" in kind else 0) for name, (slot, kind) in fields.items()}


def _dilated(first: int) -> dict[str, Field]:
    return {"dilation_w": Field(first, "i32", 1), "dilation_h": Field(first + 1, "i32", 1)}


_WINDOW = _fields(padding=(0, "i8"), stride_w=(1, "i32"), stride_h=(2, "i32"))
_CONV = {**_WINDOW, **_fields(fused=(3, "i8")), **_dilated(4)}
_DEPTHWISE = {**_WINDOW, **_fields(multiplier=(3, "i32"), fused=(4, "i8")), **_dilated(5)}
_POOL = {**_WINDOW, **_fields(filter_w=(3, "i32"), filter_h=(4, "i32"), fused=(5, "i8"))}
_DENSE = _fields(fused=(0, "i8"), format=(1, "i8"), keep=(2, "bool"))
_MASKS = _fields(begin=(0, "i32"), end=(1, "i32"), ellipsis=(2, "i32"), new=(3, "i32"), shrink=(4, "i32"))
_FUSED = _fields(fused=(0, "i8"))
_ONE, _TWO = range(1, 2), range(2, 3)
# LiteRT does not look whether a depthwise convolution has a third input (-1: no bias), and dies of it.
_THREE = range(3, 4)
_LAYER = range(2, 4)
_UNARY = {
    **{
        8: "FLOOR",
        14: "LOGISTIC",
        19: "RELU",
        20: "RELU_N1_TO_1",
        21: "RELU6",
        28: "TANH",
        47: "EXP",
        50: "LOG_SOFTMAX",
    },
    **{59: "NEG", 73: "LOG", 75: "SQRT", 76: "RSQRT", 92: "SQUARE", 101: "ABS", 111: "ELU", 116: "ROUND"},
    **{117: "HARD_SWISH", 150: "GELU", 152: "RELU_0_TO_1"},
}
_REDUCING = {40: "MEAN", 74: "SUM", 81: "REDUCE_PROD", 82: "REDUCE_MAX", 89: "REDUCE_MIN"}
_JOINING = {18: ("MUL", 21), 42: ("DIV", 29)}
_COMPARING = {55: "MAXIMUM", 57: "MINIMUM", 54: "PRELU", 78: "POW"}

KINDS: Mapping[int, Kind] = {
    **{number: Kind(name, _ONE, shapes.same) for number, name in _UNARY.items()},
    **{
        number: Kind(name, _TWO, shapes.reduced, 27, _fields(keep=(0, "bool")), "first")
        for number, name in _REDUCING.items()
    },
    **{number: Kind(name, _TWO, shapes.broadcast, options, _FUSED) for number, (name, options) in _JOINING.items()},
    **{number: Kind(name, _TWO, shapes.broadcast) for number, name in _COMPARING.items()},
    0: Kind("ADD", _TWO, shapes.summed, 11, _FUSED),
    41: Kind("SUB", _TWO, shapes.summed, 28, _FUSED),
    99: Kind("SQUARED_DIFFERENCE", _TWO, shapes.squared),
    1: Kind("AVERAGE_POOL_2D", _ONE, shapes.pool, 5, _POOL),
    2: Kind("CONCATENATION", ANY_NUMBER, shapes.joined, 10, _fields(axis=(0, "i32"), fused=(1, "i8"))),
    3: Kind("CONV_2D", _THREE, shapes.convolution, 1, _CONV, "own"),
    4: Kind("DEPTHWISE_CONV_2D", _THREE, shapes.depthwise, 2, _DEPTHWISE, "own"),
    5: Kind("DEPTH_TO_SPACE", _ONE, _blocks(-1), 94, _fields(block=(0, "i32"))),
    6: Kind("DEQUANTIZE", _ONE, _dequantised, types="own"),
    9: Kind("FULLY_CONNECTED", _LAYER, shapes.dense, 8, _DENSE, "own"),
    11: Kind("L2_NORMALIZATION", _ONE, shapes.same, 12, _FUSED),
    12: Kind("L2_POOL_2D", _ONE, shapes.pool, 5, _POOL),
    17: Kind("MAX_POOL_2D", _ONE, shapes.pool, 5, _POOL),
    22: Kind("RESHAPE", range(1, 3), shapes.reshaped, 17, _fields(shape=(0, "[i32]")), "first", False, True),
    23: Kind("RESIZE_BILINEAR", _TWO, _resized, 15, types="first"),
    25: Kind("SOFTMAX", _ONE, shapes.softmax, 9, _fields(beta=(0, "f32"))),
    26: Kind("SPACE_TO_DEPTH", _ONE, _blocks(1), 19, _fields(block=(0, "i32"))),
    34: Kind("PAD", _TWO, shapes.padded, types="first"),
    36: Kind("GATHER", _TWO, _gathered, 23, _fields(axis=(0, "i32"), batch=(1, "i32")), "first", False),
    39: Kind("TRANSPOSE", _TWO, _transposed, types="first", scaled=False),
    43: Kind("SQUEEZE", _ONE, _squeezed, 30, _fields(axes=(0, "[i32]")), scaled=False, optional=True),
    45: Kind("STRIDED_SLICE", range(4, 5), _cut, 32, _MASKS, "first", False),
    49: Kind("SPLIT", _TWO, _split, 35, _fields(count=(0, "i32")), "own", False),
    53: Kind("CAST", _ONE, _cast, types="own", scaled=False),
    60: Kind("PADV2", range(3, 4), shapes.padded, types="first"),
    65: Kind("SLICE", range(3, 4), _sliced, types="first", scaled=False),
    70: Kind("EXPAND_DIMS", _TWO, _expanded, types="first", scaled=False),
    77: Kind("SHAPE", _ONE, _measured, types="own", scaled=False),
    83: Kind("PACK", ANY_NUMBER, _packed, 59, _fields(count=(0, "i32"), axis=(1, "i32")), scaled=False),
    97: Kind("RESIZE_NEAREST_NEIGHBOR", _TWO, _resized, 74, types="first"),
    98: Kind("LEAKY_RELU", _ONE, shapes.same, 75, _fields(alpha=(0, "f32"))),
    114: Kind("QUANTIZE", _ONE, _quantised, types="own"),
    126: Kind("BATCH_MATMUL", _TWO, _product, 101, _fields(turn_first=(0, "bool"), turn_second=(1, "bool"))),
}


def multiply_accumulates(name: str, inputs: Operands, given: Operands) -> int:
    """For one run of an operator with weights: each is used once for every place of the output; 0 of others."""
    if name == "BATCH_MATMUL":
        return int(math.prod(given[0].shape) * max(inputs[0].shape))
    if name not in WEIGHTED:
        return 0
    return int(math.prod(given[0].shape[:-1]) * math.prod(inputs[1].shape))
