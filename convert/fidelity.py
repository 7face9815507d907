"""How faithful a quantised output is to the float one: noise, angle, shift of the mean, values beyond the range."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.equalisation import Spans
from edgeproof.convert.execution import Execution, as_input
from edgeproof.convert.simulation import Simulation
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.pixels import Pixels

# Activations of one operator, a few copies of them, for as many pictures as are run together.
MEMORY_BYTES = 1_000_000_000
# So many pictures of those that are run together tell the fidelity as well as all of them.
PICTURES = 32
_COPIES = 6


@dataclass(frozen=True, slots=True)
class Fidelity:
    """`sqnr_db` is None where nothing differs. `mean_shift` is in standard deviations, `saturated` a share of values.

    The shift of an output is the root mean square over its channels of what the mean of each moves by, over the same
    of the channels' standard deviations.
    """

    sqnr_db: float | None
    cosine: float
    mean_shift: float
    saturated: float


@dataclass(slots=True)
class Tally:
    """The sums over pictures from which the fidelity of one output follows."""

    products: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    channels: NDArray[np.float64] | None = None
    values: int = 0
    outside: int = 0

    def add(self, exact: NDArray[Any], found: NDArray[Any], limits: tuple[float, float] | None = None) -> None:
        """Add outputs of shape (pictures, …, channels), in real units; those of `exact` beyond `limits` saturate.

        Of many pictures the first ones are taken.
        """
        a = exact[:PICTURES].reshape(-1, exact.shape[-1]).astype(np.float32, copy=False)
        error = found[:PICTURES].reshape(a.shape) - a
        own, noise, cross = (
            np.einsum("vc,vc->c", *pair, dtype=np.float64) for pair in ((a, a), (error, error), (a, error))
        )
        self.products += [own.sum(), noise.sum(), cross.sum()]
        sums = np.array(
            [error.sum(axis=0, dtype=np.float64), a.sum(axis=0, dtype=np.float64), own, np.full(a.shape[1], len(a))]
        )
        self.channels = sums if self.channels is None else self.channels + sums
        self.values += a.size
        if limits is not None:
            # Half a step beyond the last one is still rounded to it.
            room = (limits[1] - limits[0]) / 510
            self.outside += int(np.count_nonzero((a < limits[0] - room) | (a > limits[1] + room)))

    @property
    def fidelity(self) -> Fidelity:
        """What the sums say. Raises `ValueError` before anything was added."""
        if self.channels is None:
            raise ValueError("Nothing was added yet.")
        signal, noise, cross = self.products
        product, other = signal + cross, signal + 2 * cross + noise
        shift, mean, square = self.channels[:3] / self.channels[3]
        variance = float((square - mean**2).clip(0).mean())
        return Fidelity(
            sqnr_db=float(10 * np.log10(signal / noise)) if noise > 0 and signal > 0 else None,
            cosine=float(product / np.sqrt(signal * other)) if signal > 0 and other > 0 else 1.0,
            mean_shift=float(np.sqrt((shift**2).mean() / variance)) if variance > 0 else 0.0,
            saturated=self.outside / self.values,
        )


def together(graph: Graph, pictures: int) -> int:
    """How many pictures may be run operator by operator at once, so that the activations fit into memory."""
    largest = max(int(np.prod(graph.shape(graph.given(number)))) for number in range(len(graph.operators)))
    return max(1, min(pictures, MEMORY_BYTES // (4 * _COPIES * largest)))


def accumulated(simulation: Simulation, pixels: Pixels) -> tuple[dict[int, Fidelity], dict[int, Spans]]:
    """Run the float and the int8 graph side by side, each on its own activations.

    Gives the fidelity of every operator that both have, and the spans of the float outputs' channels, both by the
    float operator's number.
    """
    graph, target = simulation.graph, simulation.target
    tallies: dict[int, Tally] = {}
    spans: dict[int, Spans] = {}
    size = together(graph, len(pixels))
    for start in range(0, len(pixels), size):
        some = pixels[start : start + size]
        run, other, done = Execution(graph, as_input(graph, some)), Execution(target, as_input(target, some)), 0
        for operator in range(len(graph.operators)):
            exact = run.advance(operator)
            spans[operator] = _widened(spans.get(operator), exact)
            number = simulation.counterpart.get(operator, -1)
            while done <= number:
                found = other.advance(done)
                done += 1
            if number == done - 1:
                real = target.real(target.given(number), found)
                tallies.setdefault(operator, Tally()).add(exact, real, simulation.limits(operator))
    return {operator: tally.fidelity for operator, tally in tallies.items()}, spans


def _widened(known: Spans | None, values: NDArray[Any]) -> Spans:
    axes = tuple(range(values.ndim - 1))
    low, high = values.min(axis=axes).astype(np.float64), values.max(axis=axes).astype(np.float64)
    return Spans(low, high) if known is None else Spans(np.minimum(known.low, low), np.maximum(known.high, high))
