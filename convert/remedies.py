"""What remedies would do for a layer, tried in simulation: how far the answers still move when it alone is in int8."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.equalisation import Spans
from edgeproof.convert.execution import Execution, as_input
from edgeproof.convert.fidelity import together
from edgeproof.convert.links import MIXING, POOLING, by_input, makers, makes_channels, scales, weights_of
from edgeproof.convert.sensitivity import Damage, HeldOut, answers, damage, whole
from edgeproof.convert.simulation import Simulation, in_int8, weights_in_int8
from edgeproof.runtime import progress
from edgeproof.runtime.graph import WEIGHTED, Graph

# The first two quantise a part of the layer. The others are one of these, or (the bias) the whole, after a remedy:
# equalisation with the layer before or behind, offsets of channels moved into biases, nothing saturated, and the mean
# error taken out.
Variant = Literal[
    "weights", "output", "equalised weights", "equalised output", "centred", "unsaturated", "bias corrected"
]
Variants = dict[Variant, Damage]
Held = Mapping[int, NDArray[Any]]

BOUNDS = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0)}


def tried(
    simulation: Simulation, held_out: HeldOut, chosen: Collection[int], spans: Mapping[int, Spans]
) -> dict[int, Variants]:
    """Try on held-out pictures what applies to each of the chosen operators; `spans` are those of all outputs."""
    graph, count = simulation.graph, len(held_out.pixels)
    plan = _plan(graph, spans)
    found: dict[int, Variants] = {operator: {} for operator in chosen}
    size = together(graph, count)
    with progress.bar("Remedies", len(chosen) * -(-count // size)) as advance:
        for start in range(0, count, size):
            pixels, classes = held_out.pixels[start : start + size], held_out.classes[start : start + size]
            exact, run = whole(graph, pixels), Execution(graph, as_input(graph, pixels))
            for operator in range(len(graph.operators)):
                held, clean = dict(run.held), run.advance(operator)
                outputs = _outputs(simulation, operator, held, clean, plan) if operator in chosen else ()
                for variant, output in outputs:
                    caused = damage(exact, answers(graph, operator, run, output), classes)
                    found[operator][variant] = found[operator].get(variant, Damage()) + caused
                advance(operator in chosen)
    return found


@dataclass(frozen=True, slots=True)
class _Plan:
    """What equalisation would do: a scale for each channel of an output, and whose channels an operator takes."""

    spans: Mapping[int, Spans]
    scale: Mapping[int, NDArray[np.float64]]
    before: Mapping[int, int]


def _plan(graph: Graph, spans: Mapping[int, Spans]) -> _Plan:
    before = makers(graph)
    scale = {}
    for maker in filter(lambda number: makes_channels(graph, number), range(len(graph.operators))):
        takers = [number for number, its in before.items() if its == maker and graph.kind(number) in MIXING]
        scale[maker] = scales(graph, maker, takers, spans[maker])
    pooled = {number: scale[its] for number, its in before.items() if graph.kind(number) in POOLING}
    return _Plan(spans, {**scale, **pooled}, before)


def _outputs(
    simulation: Simulation, operator: int, held: Held, clean: NDArray[Any], plan: _Plan
) -> Iterator[tuple[Variant, NDArray[Any]]]:
    """An operator's output in each variant, on the activations held for it; `clean` is its float output."""
    graph = simulation.graph
    if simulation.has_rounded_constants(operator):
        yield "weights", simulation.weighted(operator, held)
        yield "output", simulation.rounded(operator, clean)
        if graph.kind(operator) in WEIGHTED and graph.activation(operator) in BOUNDS:
            yield "bias corrected", simulation.rounded(operator, _corrected(simulation, operator, held))
        if operator in plan.before and graph.kind(operator) in MIXING:
            yield "equalised weights", _equalised(simulation, operator, held, plan.scale[plan.before[operator]])
    limits = simulation.limits(operator)
    if limits is None:
        return
    if clean.min() < limits[0] or clean.max() > limits[1]:
        yield "unsaturated", _spanning(clean, clean.min(), clean.max())
    if operator in plan.scale:
        share, seen = plan.scale[operator].astype(np.float32), plan.spans[operator]
        yield "equalised output", _spanning(clean / share, (seen.low / share).min(), (seen.high / share).max()) * share
        if graph.activation(operator) == "NONE":
            middle = ((seen.low + seen.high) / 2).astype(np.float32)
            yield "centred", _spanning(clean - middle, (seen.low - middle).min(), (seen.high - middle).max()) + middle


def _spanning(values: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Values in int8 from `low` to `high`, and zero."""
    return in_int8(values, min(0.0, float(low)), max(0.0, float(high)))


def _corrected(simulation: Simulation, operator: int, held: Held) -> NDArray[Any]:
    """A layer's output with rounded weights, each channel's mean error taken out before the activation."""
    exact = simulation.exact(operator, held, activated=False)
    found = simulation.weighted(operator, held, activated=False)
    error = (found - exact).mean(axis=tuple(range(found.ndim - 1)))
    corrected: NDArray[Any] = np.clip(found - error, *BOUNDS[simulation.graph.activation(operator)])
    return corrected


def _equalised(simulation: Simulation, operator: int, held: Held, scale: NDArray[np.float64]) -> NDArray[Any]:
    """A layer's output when its weights are rounded after the scales of the channels before it were moved into them."""
    weights = weights_of(simulation.graph, operator)
    shares = by_input(simulation.graph, operator, scale)
    return simulation.with_weights(operator, held, weights_in_int8(weights * shares, axis=0) / shares)
