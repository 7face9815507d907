"""Sensitivity: what becomes of the answers when one operator alone is in int8 and all others are float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.execution import Execution, as_input, evaluate
from edgeproof.convert.fidelity import Fidelity, Tally, together
from edgeproof.convert.simulation import Simulation
from edgeproof.runtime import progress
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.pixels import Pixels

# A quarter of int8's step of 1/256: int8 answers cannot tell smaller probabilities from zero.
LEAST_PROBABILITY = 1 / 1024


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Training pictures that calibration does not use: pixels (n, height, width, 3) and classes (n,)."""

    pixels: Pixels
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Damage:
    """How far answers moved, in sums over pictures, so that parts add up.

    `divergence` sums Kullback and Leibler's divergence from the float answers, in nats; `changed` counts other first
    places, `lost` right answers lost less those won.
    """

    divergence: float = 0.0
    changed: int = 0
    lost: int = 0
    pictures: int = 0

    def __add__(self, other: Damage) -> Damage:
        return Damage(
            self.divergence + other.divergence,
            self.changed + other.changed,
            self.lost + other.lost,
            self.pictures + other.pictures,
        )

    @property
    def mean(self) -> float:
        """The mean divergence of a picture, in nats."""
        return self.divergence / self.pictures


def damage(exact: Probabilities, found: Probabilities, classes: NDArray[np.int64]) -> Damage:
    """What separates answers from the float ones, both of shape (pictures, classes)."""
    p, q = _floored(exact), _floored(found)
    right = (exact.argmax(axis=1) == classes, found.argmax(axis=1) == classes)
    return Damage(
        divergence=float((p * np.log(p / q)).sum()),
        changed=int(np.count_nonzero(exact.argmax(axis=1) != found.argmax(axis=1))),
        lost=int(right[0].sum()) - int(right[1].sum()),
        pictures=len(exact),
    )


def answers(graph: Graph, operator: int, run: Execution, output: NDArray[Any]) -> Probabilities:
    """The graph's answers when an operator, just run, had given `output` instead."""
    last = graph.outputs[0]
    if graph.given(operator) == last:
        return output
    behind = range(operator + 1, len(graph.operators))
    found: Probabilities = evaluate(graph, behind, {**run.held, graph.given(operator): output}, last)
    return found


def whole(graph: Graph, pixels: Pixels) -> Probabilities:
    """A graph's answers, in real units, of shape (pictures, classes)."""
    found = evaluate(graph, range(len(graph.operators)), {graph.inputs[0]: as_input(graph, pixels)}, graph.outputs[0])
    return graph.real(graph.outputs[0], found)


def alone(simulation: Simulation, held_out: HeldOut) -> tuple[dict[int, Damage], dict[int, Fidelity]]:
    """Quantise each operator alone, its constants and its output, on float inputs.

    Gives what that does to the answers, and the fidelity of the operator's output, by the operator's number.
    """
    graph, count = simulation.graph, len(held_out.pixels)
    damages: dict[int, Damage] = {}
    tallies: dict[int, Tally] = {}
    size = together(graph, count)
    with progress.bar("Sensitivity", len(graph.operators) * -(-count // size)) as advance:
        for start in range(0, count, size):
            pixels, classes = held_out.pixels[start : start + size], held_out.classes[start : start + size]
            exact, run = whole(graph, pixels), Execution(graph, as_input(graph, pixels))
            for operator in range(len(graph.operators)):
                clean = run.computed(operator)
                rounded = simulation.rounded(operator, _weighted(simulation, operator, run, clean))
                run.advance(operator, clean)
                if operator in simulation.counterpart:
                    found = answers(graph, operator, run, rounded) if (rounded != clean).any() else exact
                    damages[operator] = damages.get(operator, Damage()) + damage(exact, found, classes)
                    tallies.setdefault(operator, Tally()).add(clean, rounded, simulation.limits(operator))
                advance(1)
    return damages, {operator: tally.fidelity for operator, tally in tallies.items()}


def _weighted(simulation: Simulation, operator: int, run: Execution, clean: NDArray[Any]) -> NDArray[Any]:
    return simulation.weighted(operator, run.held) if simulation.has_rounded_constants(operator) else clean


def _floored(answers: Probabilities) -> NDArray[np.float64]:
    raised = np.maximum(answers.astype(np.float64), LEAST_PROBABILITY)
    found: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return found
