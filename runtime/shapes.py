"""The shapes and types that go together in an operator: what it must give for what it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Options = Mapping[str, Any]
# Of absent inputs, which are None, only biases reach a rule.
Operands = Sequence[Any]
# Strides, dilations and windows past any network's; their products stay far below what 32 bits hold.
WINDOW_LIMIT = 4096
INTEGERS = ("int8", "uint8", "int16", "int4")


class Unfit(Exception):
    """What an operator says of itself cannot be; the text says what, for the middle of a sentence."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor as an operator sees it; `values` are those of a constant of integers, None of anything else."""

    name: str
    shape: Shape
    dtype: str
    scales: NDArray[np.float32] | None = None
    values: NDArray[Any] | None = None


def _sides(lengths: Shape, window: Shape, strides: Shape, dilations: Shape, same: bool) -> Shape:
    """Height and width that a window leaves of a picture."""
    if not all(1 <= each <= WINDOW_LIMIT for each in (*window, *strides, *dilations)):
        raise Unfit(f"has a window {window} with strides {strides} and dilations {dilations}")
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilations, strict=True)]
    given = [-(-(n if same else n - r + 1) // s) for n, r, s in zip(lengths, reach, strides, strict=True)]
    if min(given) < 1 or (same and any(r > 2 * n + WINDOW_LIMIT for n, r in zip(lengths, reach, strict=True))):
        raise Unfit(f"has a window of {tuple(reach)} on a picture of {lengths}")
    return tuple(given)


def _padding(options: Options) -> bool:
    if options["padding"] not in (0, 1):
        raise Unfit(f"has padding {options['padding']}")
    return bool(options["padding"] == 0)


def rank(operand: Operand, rank: int) -> Shape:
    """The shape of an operand. Raises `Unfit` where it has not so many dimensions."""
    if len(operand.shape) != rank:
        raise Unfit(f"takes {operand.shape} where {rank} dimensions are needed")
    return operand.shape


def _bias(bias: Operand | None, channels: int, given: Operand) -> None:
    if bias is None:
        return
    wanted = {"float32": ("float32",), "int16": ("int32", "int64")}.get(given.dtype, ("int32",))
    if math.prod(bias.shape) != channels or bias.dtype not in wanted:
        raise Unfit(f"has a bias of {bias.dtype} {bias.shape} for {channels} channels of {given.dtype}")


def _weights(taken: Operand, weights: Operand, given: Operand, axis: int) -> None:
    """The types that go together, and scales that the accumulator's multiplier can be made of."""
    fitting = {
        "float32": ("float32", "int8", "uint8", "int4"),
        **{"int8": ("int8", "int4"), "uint8": ("uint8", "int8"), "int16": ("int8", "int4")},
    }
    if weights.dtype not in fitting.get(taken.dtype, ()) or given.dtype != taken.dtype:
        raise Unfit(f"multiplies {taken.dtype} with {weights.dtype} to {given.dtype}")
    if weights.dtype == "float32":
        return
    if weights.scales is None:
        raise Unfit("has integer weights without a scale")
    if len(weights.scales) not in (1, weights.shape[axis]):
        raise Unfit(f"has {len(weights.scales)} scales for {weights.shape[axis]} channels")
    if taken.dtype == "float32" or taken.scales is None or given.scales is None:
        return
    multiplier = float(taken.scales[0]) * float(weights.scales.max()) / float(given.scales[0])
    # XNNPACK refuses such an operator, and LiteRT has died of that ("double free").
    if not multiplier < 256:
        raise Unfit(f"multiplies its sums by {multiplier:.3g}; 256 and more are refused by LiteRT's kernels")


def convolution(inputs: Operands, options: Options, given: Operands) -> Shape:
    """A convolution: each filter sees a window of all, or of a group of, the channels."""
    taken, weights, bias = (*inputs, None)[:3]
    batch, height, width, channels = rank(taken, 4)
    filters, *window, depth = rank(weights, 4)
    if channels % depth or filters % (channels // depth):
        raise Unfit(f"has filters of depth {depth} for {channels} channels")
    _weights(taken, weights, given[0], 0)
    _bias(bias, filters, given[0])
    strides, dilations = (options["stride_h"], options["stride_w"]), (options["dilation_h"], options["dilation_w"])
    return batch, *_sides((height, width), tuple(window), strides, dilations, _padding(options)), filters


def depthwise(inputs: Operands, options: Options, given: Operands) -> Shape:
    """A depthwise convolution: each channel has filters of its own."""
    taken, weights, bias = (*inputs, None)[:3]
    batch, height, width, channels = rank(taken, 4)
    one, *window, filters = rank(weights, 4)
    if one != 1 or filters != channels * options["multiplier"]:
        raise Unfit(f"has filters {weights.shape} for {channels} channels times {options['multiplier']}")
    _weights(taken, weights, given[0], 3)
    _bias(bias, filters, given[0])
    strides, dilations = (options["stride_h"], options["stride_w"]), (options["dilation_h"], options["dilation_w"])
    return batch, *_sides((height, width), tuple(window), strides, dilations, _padding(options)), filters


def dense(inputs: Operands, options: Options, given: Operands) -> Shape:
    """A dense layer: a row of weights for each output."""
    taken, weights, bias = (*inputs, None)[:3]
    units, width = rank(weights, 2)
    size = math.prod(taken.shape)
    if options["format"] != 0 or size % width or not taken.shape:
        raise Unfit(f"has weights {weights.shape} for an input {taken.shape}")
    _weights(taken, weights, given[0], 0)
    _bias(bias, units, given[0])
    if options["keep"]:
        if taken.shape[-1] != width:
            raise Unfit(f"has weights {weights.shape} for an input {taken.shape}")
        return *taken.shape[:-1], units
    return size // width, units


def pool(inputs: Operands, options: Options, given: Operands) -> Shape:
    """A pooling: one number of each window and channel."""
    batch, height, width, channels = rank(inputs[0], 4)
    window, strides = (options["filter_h"], options["filter_w"]), (options["stride_h"], options["stride_w"])
    return batch, *_sides((height, width), window, strides, (1, 1), _padding(options)), channels


def same(inputs: Operands, options: Options, given: Operands) -> Shape:
    """Whatever gives the shape that it takes."""
    shape: Shape = inputs[0].shape
    return shape


def softmax(inputs: Operands, options: Options, given: Operands) -> Shape:
    """A softmax over the last dimension."""
    taken: Operand = inputs[0]
    if not 0 < options["beta"] < 1e6 or not taken.shape:
        raise Unfit(f"has beta {options['beta']:g} on an input {taken.shape}")
    # LiteRT's reference kernels end the process where an integer step stands for less.
    if taken.dtype in INTEGERS and taken.scales is not None and options["beta"] * float(taken.scales[0]) <= 2**-25:
        raise Unfit(f"has beta {options['beta']:g} on steps of {float(taken.scales[0]):.3g}")
    return taken.shape


def broadcast(inputs: Operands, options: Options, given: Operands) -> Shape:
    """Two inputs, of which dimensions of 1 are stretched to the other."""
    try:
        shape = np.broadcast_shapes(inputs[0].shape, inputs[1].shape)
    except ValueError:
        raise Unfit(f"joins {inputs[0].shape} and {inputs[1].shape}") from None
    if len(shape) > 6:
        raise Unfit(f"joins {len(shape)} dimensions")
    return shape


def summed(inputs: Operands, options: Options, given: Operands) -> Shape:
    """A sum or difference of two inputs; integers are brought to a common scale first."""
    coarsest = _coarsest(inputs)
    # LiteRT's own kernels end the process ("abort") at 2^19 for int8 and 2^14 for int16.
    if coarsest and given[0].scales is not None and coarsest >= 2**14 * float(given[0].scales[0]):
        raise Unfit(f"brings a scale of {coarsest:.3g} to one of {float(given[0].scales[0]):.3g}")
    return broadcast(inputs, options, given)


def squared(inputs: Operands, options: Options, given: Operands) -> Shape:
    """The square of a difference."""
    coarsest = _coarsest(inputs)
    if coarsest and given[0].scales is not None and 4 * coarsest**2 >= 2**14 * float(given[0].scales[0]):
        raise Unfit(f"brings a scale of {coarsest:.3g} to one of {float(given[0].scales[0]):.3g}")
    return broadcast(inputs, options, given)


def _coarsest(inputs: Operands) -> float:
    """The largest scale among integer inputs; 0 where there is none."""
    return max(
        (float(each.scales[0]) for each in inputs if each.scales is not None and each.dtype in INTEGERS), default=0
    )


def constant(operand: Operand, what: str) -> list[int]:
    """The integers of a constant. Raises `Unfit` where they are not known beforehand."""
    if operand.values is None:
        raise Unfit(f"has {what} that are no constant")
    return [int(value) for value in operand.values.reshape(-1)]


def axes(operand: Operand, rank: int) -> set[int]:
    """The dimensions that a constant names, counted from the front."""
    named = constant(operand, "axes")
    if operand.dtype != "int32" or not all(-rank <= axis < rank for axis in named):
        raise Unfit(f"has axes {named[:8]} of {rank} dimensions")
    return {axis % rank for axis in named}


def reduced(inputs: Operands, options: Options, given: Operands) -> Shape:
    """A mean, sum or maximum over some dimensions."""
    shape = inputs[0].shape
    gone = axes(inputs[1], len(shape))
    if options["keep"]:
        return tuple(1 if axis in gone else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


def reshaped(inputs: Operands, options: Options, given: Operands) -> Shape:
    """The same numbers in another shape; one of its sides may be left open."""
    size = math.prod(inputs[0].shape)
    if len(inputs) > 1 and inputs[1].values is None:
        # The shape is computed while the model runs, from that of the input.
        wanted = list(given[0].shape)
    elif len(inputs) > 1:
        wanted = constant(inputs[1], "shapes")
    else:
        found = options.get("shape")
        wanted = list(given[0].shape) if found is None else [int(side) for side in found]
    if wanted.count(-1) > 1 or any(side < 1 and side != -1 for side in wanted):
        raise Unfit(f"makes {inputs[0].shape} to {wanted[:8]}")
    known = math.prod(side for side in wanted if side != -1)
    if size % known or (-1 not in wanted and size != known):
        raise Unfit(f"makes {inputs[0].shape} to {wanted[:8]}")
    return tuple(size // known if side == -1 else side for side in wanted)


def padded(inputs: Operands, options: Options, given: Operands) -> Shape:
    """Numbers added in front of and behind each dimension."""
    shape = inputs[0].shape
    added = constant(inputs[1], "paddings")
    if inputs[1].shape != (len(shape), 2) or not all(0 <= each <= WINDOW_LIMIT for each in added) or len(shape) > 5:
        raise Unfit(f"pads {shape} by {added[:10]}")
    return tuple(size + added[2 * axis] + added[2 * axis + 1] for axis, size in enumerate(shape))


def joined(inputs: Operands, options: Options, given: Operands) -> Shape:
    """Inputs put one behind the other along a dimension."""
    first, axis = inputs[0].shape, options["axis"]
    if not -len(first) <= axis < len(first):
        raise Unfit(f"has axis {axis} of {len(first)} dimensions")
    axis %= len(first)
    rest = {(len(each.shape), each.shape[:axis], each.shape[axis + 1 :]) for each in inputs}
    if len(rest) > 1:
        raise Unfit(f"joins {', '.join(str(each.shape) for each in inputs[:4])} along dimension {axis}")
    return *first[:axis], sum(each.shape[axis] for each in inputs), *first[axis + 1 :]
