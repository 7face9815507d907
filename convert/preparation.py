"""What the recipes of one model share: the float graph, equalised, its ranges, and weights rounded for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from edgeproof.convert import equalisation, quantiser
from edgeproof.convert.convergence import Convergence, doublings, judge
from edgeproof.convert.execution import Execution, as_input
from edgeproof.convert.export import export
from edgeproof.convert.ranges import Estimator, Observer, Range
from edgeproof.convert.recipes import Steps
from edgeproof.convert.repair import Repair, repair
from edgeproof.runtime import progress
from edgeproof.runtime.accuracy import same_answers
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pixels import Pixels

logger = logging.getLogger(__name__)

# The float function may change on no more pictures than this when its channels are equalised.
LARGEST_CHANGE = 0.02


class Preparation:
    """Makes each part when it is first asked for, and keeps it. `pixels` calibrate, shape (n, height, width, 3)."""

    def __init__(
        self, model: Any, pixels: Pixels, *, steps: Steps, estimator: Estimator = "min-max", seed: int = 0
    ) -> None:
        self.pixels, self.steps, self.estimator, self.seed = pixels, steps, estimator, seed
        self.notes: list[str] = []
        self._model = model

    def varied(self, *, steps: Steps, estimator: Estimator) -> Preparation:
        """The same model and pictures with other repairs or another estimator; what both share is not made again."""
        other = Preparation(self._model, self.pixels, steps=steps, estimator=estimator, seed=self.seed)
        shared = ["float32"]
        if steps.equalisation == self.steps.equalisation:
            shared += ["graph", "observed"] if estimator == self.estimator else ["graph"]
            other.notes = list(self.notes)
        for name in shared:
            # Where a cached_property keeps what it has made.
            if name in vars(self):
                vars(other)[name] = vars(self)[name]
        return other

    @cached_property
    def float32(self) -> bytes:
        """The float flatbuffer, as TensorFlow's converter gives it."""
        return export(self._model)

    @cached_property
    def graph(self) -> Graph:
        """The float graph that integer recipes start from: equalised, where that applies. Not to be changed."""
        graph = Graph.read(self.float32)
        if not self.steps.equalisation:
            return graph
        changed = equalisation.equalise(graph, self.pixels)
        if not changed:
            self._note("equalisation was left out: no two layers meet in a way that lets channels be scaled")
            return graph
        before, after = (Runner(each).probabilities(self.pixels) for each in (self.float32, graph.packed()))
        share = 1 - same_answers(after, before).share
        if share > LARGEST_CHANGE:
            self._note(f"equalisation was left out: it changed {share:.1%} of the float answers")
            return Graph.read(self.float32)
        return graph

    @cached_property
    def observed(self) -> tuple[Mapping[int, Observer], Convergence]:
        """The activations of `graph` on the calibration pictures, and whether more pictures would change the ranges."""
        graph, counts = self.graph, doublings(len(self.pixels))
        run, found = Execution(graph, as_input(graph, self.pixels)), dict[int, Observer]()
        history: dict[int, dict[str, Range]] = {count: {} for count in counts}
        with progress.bar("Calibration", len(graph.operators)) as advance:
            for operator in range(len(graph.operators)):
                values, tensor = run.advance(operator), graph.given(operator)
                found[tensor] = Observer(graph.name(tensor))
                for start, stop in zip((0, *counts), counts, strict=False):
                    found[tensor].observe(values[start:stop])
                    history[stop][graph.name(tensor)] = found[tensor].range(self.estimator)
                advance(1)
        return found, judge(history) if len(counts) > 1 else _unjudged(len(self.pixels))

    def ranges(self, *, bits: int = 8) -> dict[int, Range]:
        """(low, high) of every activation of `graph`, by tensor; the input's is that of bytes."""
        observers, _ = self.observed
        return {self.graph.inputs[0]: (0.0, 255.0)} | {
            tensor: observer.range(self.estimator, bits=bits) for tensor, observer in observers.items()
        }

    def int8(self, *, in_float: tuple[int, ...] = (), integer_output: bool = False) -> Graph:
        """The graph in int8, repaired: every layer, or all but the operators `in_float`."""
        head = self.steps.head and not integer_output and bool(quantiser.head(self.graph))
        target = quantiser.static(self.graph, self.ranges(), in_float=in_float, float_head=head)
        if self.steps.bias:
            self._describe(repair(self.graph, target, self.pixels, by_error=self.steps.rounding, seed=self.seed))
        return target

    @cached_property
    def weights(self) -> Repair:
        """Weights rounded for float activations: what the recipes with other activations than int8 get."""
        return repair(
            self.graph, Graph.read(self.graph.packed()), self.pixels, by_error=self.steps.rounding, seed=self.seed
        )

    def _describe(self, found: Repair) -> None:
        for name, reason in found.left_alone.items():
            self._note(f"{name.split(';')[-1]} was not repaired: {reason}")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            logger.info("%s", text)


def _unjudged(images: int) -> Convergence:
    return Convergence(images=(images,), movement=(), largest=(), converged=False)
