"""What int8 does to one operator, simulated in float: constants and outputs rounded as in its int8 counterpart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.execution import evaluate
from edgeproof.runtime.graph import Graph

Floats = NDArray[np.float32]

LOW, HIGH = -128, 127
WEIGHT_LIMIT = 127

# What only moves or picks values: integers stay what they are, and nothing is rounded anew.
MOVING = ("MAX_POOL_2D", "PAD", "RESHAPE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE")


class Simulation:
    """A float graph, and the same with its constants rounded as in the int8 graph `target` that was made from it.

    Operators are counterparts where their outputs have the same name.
    """

    def __init__(self, graph: Graph, target: Graph) -> None:
        self.graph = graph
        self._rounded = Graph.read(graph.packed())
        self.target = target
        by_name = {target.name(target.given(number)): number for number in range(len(target.operators))}
        self.counterpart = {
            number: by_name[graph.name(graph.given(number))]
            for number in range(len(graph.operators))
            if graph.name(graph.given(number)) in by_name
        }
        self._with_constants: set[int] = set()
        for operator in self.counterpart:
            for tensor, values in self._constants(operator).items():
                self._rounded.set_constant(tensor, values)
                self._with_constants.add(operator)

    def _constants(self, operator: int) -> dict[int, Floats]:
        other = self.target.operators[self.counterpart[operator]]
        pairs = zip(self.graph.operators[operator].inputs, other.inputs, strict=False)
        return {
            int(own): dequantised(self.target, int(its))
            for own, its in pairs
            if its >= 0 and self.target.constant(int(its)) is not None and is_quantised(self.target, int(its))
        }

    def has_rounded_constants(self, operator: int) -> bool:
        """Whether the int8 graph rounds constants of an operator."""
        return operator in self._with_constants

    def weighted(self, operator: int, held: Mapping[int, NDArray[Any]], *, activated: bool = True) -> Floats:
        """An operator's output with its constants rounded and all else float, on the activations held for it."""
        return self._computed(self._rounded, operator, held, activated=activated)

    def exact(self, operator: int, held: Mapping[int, NDArray[Any]], *, activated: bool = True) -> Floats:
        """An operator's output with nothing rounded."""
        return self._computed(self.graph, operator, held, activated=activated)

    def with_weights(self, operator: int, held: Mapping[int, NDArray[Any]], weights: NDArray[Any]) -> Floats:
        """An operator's output with other weights. Raises `ValueError` where it has none."""
        tensor = int(self.graph.operators[operator].inputs[1])
        kept = self._rounded.constant(tensor)
        if kept is None:
            raise ValueError(f"Operator {operator} has no constant weights.")
        self._rounded.set_constant(tensor, weights)
        try:
            return self.weighted(operator, held)
        finally:
            self._rounded.set_constant(tensor, kept)

    @staticmethod
    def _computed(graph: Graph, operator: int, held: Mapping[int, NDArray[Any]], *, activated: bool) -> Floats:
        found: Floats = evaluate(graph, [operator], held, graph.given(operator), activated=activated)
        return found

    def limits(self, operator: int) -> tuple[float, float] | None:
        """The least and the largest value that an operator's output can have in int8; None where nothing is rounded."""
        tensor = self.target.given(self.counterpart[operator]) if operator in self.counterpart else -1
        if tensor < 0 or not is_quantised(self.target, tensor) or self.graph.kind(operator) in MOVING:
            return None
        affine = self.target.affine(tensor)
        scale, zero_point = float(affine.scale[0]), int(affine.zero_point[0])
        return (LOW - zero_point) * scale, (HIGH - zero_point) * scale

    def rounded(self, operator: int, values: Floats) -> Floats:
        """An operator's output after int8; as it is where nothing is rounded."""
        limits = self.limits(operator)
        return values if limits is None else in_int8(values, *limits)


def is_quantised(graph: Graph, tensor: int) -> bool:
    """Whether a tensor holds integers that stand for real values."""
    found = graph.tensors[tensor].quantization
    return not graph.is_float(tensor) and found is not None and found.scale is not None and len(found.scale) > 0


def dequantised(graph: Graph, tensor: int) -> Floats:
    """A constant of integers in real units. Raises `ValueError` where it is none."""
    values = graph.constant(tensor)
    if values is None:
        raise ValueError(f"Tensor '{graph.name(tensor)}' is no constant.")
    affine = graph.affine(tensor)
    shape = [1] * values.ndim
    if len(affine.scale) > 1:
        shape[graph.tensors[tensor].quantization.quantizedDimension] = -1
    real = (values - affine.zero_point.reshape(shape)) * affine.scale.reshape(shape)
    return real.astype(np.float32).reshape(values.shape)


def in_int8(values: Floats, low: float, high: float) -> Floats:
    """Values after rounding to the 256 steps from `low` to `high`, of which zero is one; of the shape they came in."""
    scale = max(high - low, 1e-12) / (HIGH - LOW)
    zero_point = round(LOW - low / scale)
    found: Floats = values / np.float32(scale)
    np.rint(found, out=found)
    np.clip(found, LOW - zero_point, HIGH - zero_point, out=found)
    found *= np.float32(scale)
    return found


def weights_in_int8(weights: NDArray[Any], axis: int) -> Floats:
    """Weights after rounding to 255 steps round zero, with a scale for each channel along `axis`."""
    others = tuple(other for other in range(weights.ndim) if other != axis)
    scale = np.maximum(np.abs(weights).max(axis=others, keepdims=True), 1e-12) / WEIGHT_LIMIT
    found: Floats = (np.rint(weights / scale) * scale).astype(np.float32)
    return found
