"""Repair without retraining: a quantised graph's weights and biases are chosen anew, by what each layer gives.

The float and the quantised graph run side by side on calibration pictures. Each layer's weights are rounded, and its
bias chosen, for the inputs that it really gets in the quantised graph and the outputs that it should give; then it
runs, and the next layer makes good what is left. The choice of the bias is the bias correction of Nagel et al. 2019,
"Data-free quantization through weight equalization and bias correction", by measured means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeproof.convert import rounding
from edgeproof.convert.execution import Execution, as_input
from edgeproof.convert.rounding import Rounded, Rows
from edgeproof.runtime import progress
from edgeproof.runtime.graph import WEIGHTED, Graph
from edgeproof.runtime.pixels import Pixels

# More rows (pictures times places) no longer change the covariance of a layer's inputs.
ROWS = 20_000
# Larger layers would need a covariance of gigabytes: their weights are rounded to nearest.
LARGEST = 4_608
# Half of what 32 bits hold, the other half is for the sum; for the 64 bits beside 16-bit activations too.
LARGEST_BIAS = 2**30
# Where the activations that LiteRT fuses into a layer cut its results.
_BOUNDS = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}


@dataclass(frozen=True, slots=True)
class Repair:
    """The layers that were repaired, by the name of their output tensor, and why others were left alone."""

    layers: Mapping[str, Rounded]
    left_alone: Mapping[str, str]


def repair(reference: Graph, target: Graph, pixels: Pixels, *, by_error: bool = True, seed: int = 0) -> Repair:
    """Choose the weights and biases of `target` in place, for it to give what the float graph `reference` gives.

    Operators are the same where their output tensors have the same name. Layers that `target` holds in float are left
    alone, unless all of it is float: then it gets the values that int8 weights will have. `pixels` has shape
    (n, height, width, 3). Without `by_error` weights are rounded to nearest, and only biases are chosen.
    """
    float_run = Execution(reference, as_input(reference, pixels))
    run = Execution(target, as_input(target, pixels))
    twins = {reference.name(reference.given(number)): number for number in range(len(reference.operators))}
    draw = np.random.default_rng(seed)
    weights_alone = all(target.is_float(target.given(number)) for number in range(len(target.operators)))
    layers: dict[str, Rounded] = {}
    left_alone: dict[str, str] = {}
    with progress.bar("Repair", len(target.operators)) as advance:
        for operator in range(len(target.operators)):
            name = target.name(target.given(operator))
            twin = twins.get(name)
            if twin is not None and reference.kind(twin) == target.kind(operator):
                weighted = target.kind(operator) in WEIGHTED
                reason = _obstacle(target, operator, np.float32 if weights_alone else np.int8) if weighted else ""
                bounds = _BOUNDS.get(reference.activation(twin)) if weighted else None
                wanted = float_run.computed(twin, without_activation=bounds is not None)
                if reason:
                    left_alone[name] = reason
                elif weighted:
                    inputs = run.real(target.taken(operator)[0])
                    layers[name] = _solve(reference, twin, inputs, wanted, draw, by_error=by_error)
                    install(target, operator, layers[name])
                float_run.advance(twin, wanted if bounds is None else _activated(wanted, bounds))
            run.advance(operator)
            advance(1)
    return Repair(layers, left_alone)


def install(graph: Graph, operator: int, found: Rounded) -> None:
    """Write weights and bias into an operator: integers with their scales, or the reals that they stand for."""
    inputs = [int(tensor) for tensor in graph.operators[operator].inputs]
    weights, bias = stored_weights(graph, operator), inputs[2]
    depthwise = graph.kind(operator) == "DEPTHWISE_CONV_2D"
    if graph.is_float(weights):
        graph.set_constant(weights, found.real(depthwise=depthwise))
        graph.set_constant(bias, found.bias)
        return
    if graph.is_float(bias):
        _set_integers(graph, weights, found.integers, found.scale)
        graph.set_constant(bias, found.bias)
        return
    step = graph.affine(inputs[0]).scale[0]
    # A bias counts in steps of its channel's weights: a channel of next to no weight needs coarser ones for it.
    scale = np.maximum(found.scale, np.abs(found.bias) / (step * LARGEST_BIAS))
    shrunk = Rounded(found.integers, found.scale / scale, found.bias).real(depthwise=depthwise)
    _set_integers(graph, weights, np.rint(shrunk), scale)
    _set_integers(graph, bias, np.rint(found.bias / (scale * step)), scale * step)


def _set_integers(graph: Graph, tensor: int, integers: NDArray[Any], scale: NDArray[np.float64]) -> None:
    graph.set_constant(tensor, integers)
    graph.tensors[tensor].quantization.scale = scale.astype(np.float32)
    graph.tensors[tensor].quantization.zeroPoint = np.zeros(len(scale), np.int64)


def stored_weights(graph: Graph, operator: int) -> int:
    """The tensor that holds a layer's weights, also where a DEQUANTIZE stands between."""
    weights = int(graph.operators[operator].inputs[1])
    maker = graph.producer(weights)
    return weights if maker is None else int(graph.operators[maker].inputs[0])


def _obstacle(graph: Graph, operator: int, dtype: Any) -> str:
    """Why a layer's weights cannot be chosen anew; empty where they can."""
    if graph.activation(operator) not in _BOUNDS:
        return f"its activation is {graph.activation(operator)}"
    inputs = [int(tensor) for tensor in graph.operators[operator].inputs]
    if len(inputs) < 3 or inputs[2] < 0:
        return "it has no bias"
    weights = graph.constant(inputs[1])
    if weights is None or weights.dtype != dtype:
        return "its weights stay in float" if weights is not None else "its weights are computed"
    if any(len(graph.consumers(tensor)) > 1 for tensor in inputs[1:3]):
        return "its weights are used twice"
    depthwise = graph.kind(operator) == "DEPTHWISE_CONV_2D"
    if weights.shape[-1] != graph.shape(graph.taken(operator)[0])[-1]:
        return "its channels are in groups"
    if not depthwise and weights[0].size > LARGEST:
        return f"it has {weights[0].size} inputs an output"
    return ""


def _solve(
    graph: Graph,
    operator: int,
    inputs: NDArray[Any],
    wanted: NDArray[Any],
    draw: np.random.Generator,
    *,
    by_error: bool,
) -> Rounded:
    weights = graph.constant(int(graph.operators[operator].inputs[1]))
    if weights is None:
        raise ValueError(f"Operator {operator} has no constant weights.")
    targets = wanted.reshape(-1, wanted.shape[-1])
    depthwise = graph.kind(operator) == "DEPTHWISE_CONV_2D"
    rows = min(len(targets), ROWS, 1 + 1_000_000 // weights.shape[-1] if depthwise else ROWS)
    chosen = np.sort(draw.choice(len(targets), rows, replace=False)) if rows < len(targets) else np.arange(rows)
    seen = _seen(graph, operator, inputs, chosen, wanted.shape)
    if not depthwise:
        flat = Rows(seen.reshape(rows, -1), targets[chosen])
        found = rounding.dense(flat, weights.reshape(len(weights), -1).astype(np.float64), by_error=by_error)
        return Rounded(found.integers.reshape(weights.shape), found.scale, found.bias)
    channels = weights.shape[-1]
    found = rounding.depthwise(
        Rows(np.ascontiguousarray(seen.reshape(rows, -1, channels).transpose(2, 0, 1)), targets[chosen].T),
        weights.reshape(-1, channels).T.astype(np.float64),
        bounds=_BOUNDS[graph.activation(operator)],
        by_error=by_error,
    )
    return Rounded(found.integers.T.reshape(weights.shape), found.scale, found.bias)


def _seen(
    graph: Graph, operator: int, inputs: NDArray[Any], chosen: NDArray[np.int64], given: tuple[int, ...]
) -> NDArray[Any]:
    """What some output places see, of shape (places, …) in the order of the weights; `given` is the output's shape."""
    if graph.kind(operator) == "FULLY_CONNECTED":
        rows: NDArray[Any] = inputs.reshape(len(inputs), -1)[chosen]
        return rows
    options = graph.operators[operator].builtinOptions
    size = graph.shape(int(graph.operators[operator].inputs[1]))[1:3]
    steps, holes = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
    same = options.padding == schema.Padding.SAME
    return windows(inputs, np.unravel_index(chosen, given[:3]), size, steps, holes, same=same)


def windows(
    values: NDArray[Any],
    places: tuple[NDArray[np.int64], ...],
    size: tuple[int, ...],
    steps: tuple[int, int],
    holes: tuple[int, int],
    *,
    same: bool,
) -> NDArray[Any]:
    """The windows that a convolution sees at output `places` (picture, row, column), with zeros around the picture.

    `values` has shape (n, height, width, channels), the result (places, *size, channels).
    """
    pictures, axes = places[0][:, np.newaxis, np.newaxis], []
    inside = np.ones((len(places[0]), *size), bool)
    for axis, (length, window, step, hole) in enumerate(zip(values.shape[1:3], size, steps, holes, strict=True)):
        reach = (window - 1) * hole + 1
        missing = max((-(-length // step) - 1) * step + reach - length, 0) if same else 0
        at = places[axis + 1][:, np.newaxis] * step + np.arange(window) * hole - missing // 2
        shaped = at[:, :, np.newaxis] if axis == 0 else at[:, np.newaxis, :]
        inside &= (shaped >= 0) & (shaped < length)
        axes.append(np.clip(shaped, 0, length - 1))
    found: NDArray[Any] = values[pictures, axes[0], axes[1]]
    found[~inside] = 0
    return found


def _activated(values: NDArray[Any], bounds: tuple[float, float]) -> NDArray[Any]:
    if bounds == _BOUNDS["NONE"]:
        return values
    found: NDArray[Any] = np.clip(values, *bounds).astype(values.dtype)
    return found
