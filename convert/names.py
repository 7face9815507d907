"""Keras names for a graph's operators, found again behind batch-norm folding, fused activations and fresh scopes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.graph import Graph

# Folding scales a channel's weights; the direction stays, but for the rounding of float32.
SAME_DIRECTION = 0.999
WITH_KERNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")

# The classes that an operator comes from, when its name holds several layers.
_CLASSES = {
    "CONV_2D": ("Conv2D", "SeparableConv2D", "Conv1D", "SeparableConv1D", "Dense", "DepthwiseConv2D"),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2D", "SeparableConv2D", "DepthwiseConv1D", "SeparableConv1D", "Conv2D"),
    "FULLY_CONNECTED": ("Dense", "EinsumDense", "Conv2D", "Conv1D"),
    "TRANSPOSE_CONV": ("Conv2DTranspose", "Conv1DTranspose"),
    "ADD": ("Add", "BatchNormalization", "Rescaling", "Normalization"),
    "MUL": ("Multiply", "BatchNormalization", "Rescaling", "Normalization"),
    "MEAN": ("GlobalAveragePooling2D", "GlobalAveragePooling1D"),
    "PAD": ("ZeroPadding2D", "Conv2D", "DepthwiseConv2D"),
    "RESHAPE": ("Reshape", "Flatten"),
}
# What TensorFlow calls the operation of a layer, the last part of its name.
_OPERATIONS = {
    "CONV_2D": ("convolution", "Conv2D", "separable_conv2d", "MatMul"),
    "DEPTHWISE_CONV_2D": ("depthwise",),
    "FULLY_CONNECTED": ("MatMul", "Tensordot"),
    "TRANSPOSE_CONV": ("conv_transpose",),
    "ADD": ("Add", "add"),
    "MUL": ("Mul", "mul"),
    "MEAN": ("Mean",),
}
_INNER = ("batchnorm", "separable_conv2d")


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A Keras layer without layers inside: its name behind those of the models round it, its class and kernels."""

    path: tuple[str, ...]
    kind: str
    # Each as rows, one an output channel, in every layout that TFLite may have given it.
    kernels: tuple[NDArray[np.float32], ...]


def layer_names(graph: Graph, model: Any | None = None) -> dict[int, str]:
    """The Keras layer that each operator of a float graph comes from, by the operator's number.

    A layer has the name that Keras gave it; where two layers of nested models share one, the models' names stand
    before it ("left/conv" and "right/conv"). Several operators may come from one layer. Operators with weights are
    found by these, others by the names that TensorFlow's scopes left in their tensors; these alone are used
    without `model`.
    """
    spare = _from_scopes(graph)
    if model is None:
        return spare
    layers = tuple(_leaves(model))
    shown = _shown([layer.path for layer in layers])
    spoken_of = _spoken_of(graph, layers)
    found: dict[int, str] = {}
    for operator, named in spoken_of.items():
        alike = _by_weights(graph, operator, layers)
        both = [layer for layer in named if layer in alike]
        layer = next(iter(both or alike or named), None)
        if layer is None and graph.given(operator) in graph.outputs:
            layer = layers[-1]
        found[operator] = shown[layer.path] if layer is not None else spare[operator]
    return found


def _leaves(model: Any, path: tuple[str, ...] = ()) -> Iterator[_Layer]:
    held = getattr(model, "layers", None) or getattr(model, "_layers", [])
    inside = [layer for layer in held if type(layer).__name__ != "InputLayer"]
    for layer in inside:
        yield from _leaves(layer, (*path, layer.name))
    if not inside and path:
        kernels = (np.asarray(each, np.float32) for each in model.weights if len(each.shape) > 1)
        rows = tuple(rows for kernel in kernels for rows in _layouts(kernel))
        yield _Layer(path, type(model).__name__, rows)


def _layouts(kernel: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """A kernel as (outputs, weights): of a dense layer or convolution, and where it has 4 axes of the other two."""
    yield np.moveaxis(kernel, -1, 0).reshape(kernel.shape[-1], -1)
    if kernel.ndim == 4:
        height, width, third, fourth = kernel.shape
        yield kernel.reshape(height * width, third * fourth).T
        yield kernel.transpose(2, 0, 1, 3).reshape(third, -1)


def _shown(paths: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """The last part of each path, or all but what every path begins with where that is not enough."""
    counts = Counter(path[-1] for path in set(paths))
    twice = [path for path in paths if counts[path[-1]] > 1]
    common = 0
    while twice and len({path[: common + 1] for path in twice}) == 1:
        common += 1
    return {path: path[-1] if counts[path[-1]] == 1 else "/".join(path[common:]) for path in paths}


def _spoken_of(graph: Graph, layers: tuple[_Layer, ...]) -> dict[int, list[_Layer]]:
    """The layers that the name of each operator's output speaks of, the likeliest for what it does first."""
    scopes = {operator: _scopes(graph, operator) for operator in range(len(graph.operators))}
    words = {word for each in scopes.values() for scope in each for word in scope}
    known = {layer.path[-1] for layer in layers}
    # Keras lets TensorFlow put a number behind the scopes of all layers, or of those only that are called again.
    numbered = len(known & set(map(_unnumbered, words))) >= len(known & words)
    found: dict[int, list[_Layer]] = {}
    for operator, each in scopes.items():
        named = [_named_by(list(map(_unnumbered, scope)) if numbered else scope, layers) for scope in each]
        classes = _CLASSES.get(graph.kind(operator), ())
        some = dict.fromkeys(layer for layer in named if layer is not None)
        found[operator] = sorted(some, key=lambda layer: _place(layer.kind, classes))
    return found


def _place(kind: str, classes: Sequence[str]) -> int:
    return classes.index(kind) if kind in classes else len(classes)


def _named_by(scope: list[str], layers: tuple[_Layer, ...]) -> _Layer | None:
    """The layer whose name stands nearest the end; of namesakes, the one whose models stand before it."""
    for place in reversed(range(len(scope))):
        before = set(scope[:place])
        namesakes = [(len(before & set(layer.path[:-1])), layer) for layer in layers if layer.path[-1] == scope[place]]
        if namesakes:
            return max(namesakes, key=lambda pair: pair[0])[1]
    return None


def _scopes(graph: Graph, operator: int) -> list[list[str]]:
    """The scopes, the outermost first, in each of the names that were joined into that of an operator's output."""
    return [part.split("/")[:-1] for part in graph.name(graph.given(operator)).split(";")]


def _unnumbered(word: str) -> str:
    return re.sub(r"_\d+$", "", word)


def _by_weights(graph: Graph, operator: int, layers: tuple[_Layer, ...]) -> list[_Layer]:
    rows = _rows(graph, operator)
    if rows is None:
        return []
    return [layer for layer in layers if any(_same_direction(rows, kernel) for kernel in layer.kernels)]


def _rows(graph: Graph, operator: int) -> NDArray[np.float32] | None:
    """An operator's weights as (outputs, weights)."""
    if graph.kind(operator) not in WITH_KERNEL:
        return None
    weights = graph.constant(int(graph.operators[operator].inputs[1]))
    if weights is None or weights.dtype != np.float32:
        return None
    if graph.kind(operator) == "DEPTHWISE_CONV_2D":
        return weights.reshape(-1, weights.shape[-1]).T
    return weights.reshape(len(weights), -1)


def _same_direction(rows: NDArray[np.float32], kernel: NDArray[np.float32]) -> bool:
    """Whether most channels differ by a factor alone, be it negative; those that are zero in either say nothing."""
    if rows.shape != kernel.shape:
        return False
    sizes = np.linalg.norm(rows, axis=1) * np.linalg.norm(kernel, axis=1)
    told = sizes > 1e-20
    if not told.any():
        return False
    cosines = np.abs(np.einsum("ow,ow->o", rows[told], kernel[told])) / sizes[told]
    return bool(np.median(cosines) > SAME_DIRECTION)


def _from_scopes(graph: Graph) -> dict[int, str]:
    """Names from those of the tensors alone; an operator without one has that of the operator before it."""
    scopes = {operator: _own_scope(graph, operator) for operator in range(len(graph.operators))}
    numbered = all(_unnumbered(scope[0]) != scope[0] for scope in scopes.values() if scope)
    found: dict[int, str] = {}
    for operator, scope in scopes.items():
        before = [graph.producer(tensor) for tensor in graph.taken(operator)]
        known = [found[number] for number in before if number in found]
        if scope:
            found[operator] = _unnumbered(scope[-1]) if numbered else scope[-1]
        else:
            found[operator] = known[0] if known else graph.name(graph.given(operator))
    return found


def _own_scope(graph: Graph, operator: int) -> list[str]:
    """The scopes of the layer that an operator comes from, told by what TensorFlow calls its operation."""
    operations = _OPERATIONS.get(graph.kind(operator), ())
    names = graph.name(graph.given(operator)).split(";")
    # The converter numbers tensors of one name by a digit behind it.
    own = [name for name in names if re.sub(r"\d+$", "", name.split("/")[-1]) in operations]
    scope = (own or names)[0].split("/")[:-1]
    while scope and scope[-1] in _INNER:
        scope = scope[:-1]
    return scope
