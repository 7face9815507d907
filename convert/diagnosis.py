"""The diagnosis of plain int8: for every layer, under its Keras name, what it loses, why, and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.convert import quantiser
from edgeproof.convert.causes import NEGLIGIBLE, Case, Cause, cause, sentence
from edgeproof.convert.equalisation import Spans
from edgeproof.convert.fidelity import Fidelity, accumulated
from edgeproof.convert.links import POOLING, makers, weights_of
from edgeproof.convert.quantiser import Ranges
from edgeproof.convert.remedies import Variants, tried
from edgeproof.convert.sensitivity import Damage, HeldOut, alone, damage, whole
from edgeproof.convert.simulation import Simulation
from edgeproof.runtime.graph import WEIGHTED, Graph
from edgeproof.runtime.pixels import Pixels

SCHEMA = 1
# Calibration pictures on which the float and the int8 graph run side by side.
SIDE_BY_SIDE = 64
# How many layers remedies are tried for, and named as the worst.
WORST = 10
# Channels whose weights training has let fade to less than this share of the largest count for nothing.
UNUSED = 1e-6


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One operator of the float graph, under the name of the Keras layer that it comes from.

    `sqnr_db` and `cosine` hold the output in plain int8, with the errors of all layers before, against float;
    `own_sqnr_db` and `own_cosine` with this layer's errors alone; a ratio is None where nothing differs.
    `saturated` is a share of values, `mean_shift` what the layer moves its channels' means by, in standard deviations.
    The ratio of weight ranges is that of the largest weights of its output channels, but for unused ones.
    `damage` is the mean divergence of the answers from the float ones, in nats, when it alone is in int8;
    `answers_changed` a share and `top1_lost` in points of the same. `blame` is the damage with what equalising its
    channels would undo in the layers behind, and without what equalising the layer before would undo here.
    """

    name: str
    operator: int
    kind: str
    activation: str
    weight_range_ratio: float | None
    sqnr_db: float | None
    cosine: float
    own_sqnr_db: float | None
    own_cosine: float
    saturated: float
    mean_shift: float
    damage: float
    answers_changed: float
    top1_lost: float
    blame: float
    cause: Cause
    sentence: str


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Every layer in the order of computation, and what the whole plain int8 model does to held-out answers."""

    schema: int = SCHEMA
    model: str
    calibration_images: int
    held_out_images: int
    float_top1: float
    int8_top1: float
    int8_answers_changed: float
    int8_damage: float
    layers: tuple[Layer, ...]

    @property
    def ranked(self) -> tuple[Layer, ...]:
        """The layers by blame, the worst first."""
        return tuple(sorted(self.layers, key=lambda layer: -layer.blame))

    @property
    def worst(self) -> tuple[Layer, ...]:
        """The layers that are to blame for more than a negligible damage, the worst first, at most ten."""
        return tuple(layer for layer in self.ranked[:WORST] if layer.blame >= NEGLIGIBLE)


def diagnose(
    graph: Graph,
    pixels: Pixels,
    *,
    names: Mapping[int, str],
    ranges: Ranges,
    held_out: HeldOut,
    model: str = "",
) -> Diagnosis:
    """Diagnose a float graph that takes pixels 0–255 and gives probabilities, quantised plainly with these ranges.

    `pixels` are calibration pictures, shape (n, height, width, 3); `names` gives each operator's Keras layer.
    `held_out` must be training pictures, never the test set. Raises `ModelError` where the graph cannot be quantised.
    """
    simulation = Simulation(graph, quantiser.static(graph, ranges))
    together, spans = accumulated(simulation, pixels[:SIDE_BY_SIDE])
    damages, own = alone(simulation, held_out)
    variants = tried(simulation, held_out, _suspects(damages), spans)
    moved = _moved(graph, damages, variants)
    layers = []
    for operator, caused in damages.items():
        seen = (caused, variants.get(operator, {}), moved, own[operator])
        case = _case(simulation, operator, names, seen, spans)
        layers.append(_layer(graph, operator, case, caused, together.get(operator)))
    return _whole(simulation, held_out, model, len(pixels), tuple(layers))


def _whole(simulation: Simulation, held_out: HeldOut, model: str, images: int, layers: tuple[Layer, ...]) -> Diagnosis:
    exact, found = whole(simulation.graph, held_out.pixels), whole(simulation.target, held_out.pixels)
    total = damage(exact, found, held_out.classes)
    return Diagnosis(
        model=model,
        calibration_images=images,
        held_out_images=total.pictures,
        float_top1=float((exact.argmax(axis=1) == held_out.classes).mean()),
        int8_top1=float((found.argmax(axis=1) == held_out.classes).mean()),
        int8_answers_changed=total.changed / total.pictures,
        int8_damage=total.mean,
        layers=layers,
    )


def _suspects(damages: Mapping[int, Damage]) -> list[int]:
    """The operators that do the most damage, and more than a negligible one."""
    ranked = sorted(damages, key=lambda operator: -damages[operator].mean)
    return [operator for operator in ranked[:WORST] if damages[operator].mean >= NEGLIGIBLE]


@dataclass(frozen=True, slots=True)
class _Moved:
    """Damage that belongs to a layer before: from the operator where it arises to the one that made the channels."""

    maker: int
    taker: int
    amount: float


def _moved(graph: Graph, damages: Mapping[int, Damage], variants: Mapping[int, Variants]) -> tuple[_Moved, ...]:
    """What equalising the channels that an operator takes would undo in it."""
    found = []
    for taker, maker in makers(graph).items():
        tests = variants.get(taker, {})
        if graph.kind(taker) in POOLING and "equalised output" in tests:
            found.append(_Moved(maker, taker, damages[taker].mean - tests["equalised output"].mean))
        elif "equalised weights" in tests:
            found.append(_Moved(maker, taker, tests["weights"].mean - tests["equalised weights"].mean))
    return tuple(each for each in found if each.amount > 0)


def _case(
    simulation: Simulation,
    operator: int,
    names: Mapping[int, str],
    seen: tuple[Damage, Variants, tuple[_Moved, ...], Fidelity],
    spans: Mapping[int, Spans],
) -> Case:
    graph, (caused, tests, moved, fidelity) = simulation.graph, seen
    own = {names.get(each.taker, ""): each.amount for each in moved if each.maker == operator}
    away = sum(each.amount for each in moved if each.taker == operator)
    return Case(
        name=names.get(operator, graph.name(graph.given(operator))),
        activation=graph.activation(operator),
        gives_answers=graph.given(operator) in graph.outputs,
        damage=caused.mean,
        blame=caused.mean + sum(own.values()) - away,
        variants={variant: result.mean for variant, result in tests.items()},
        moved=own,
        fidelity=fidelity,
        spans=spans[operator],
        limits=simulation.limits(operator),
        weights=_rows(graph, operator),
        input_reach=_reach(graph, operator, spans),
    )


def _reach(graph: Graph, operator: int, spans: Mapping[int, Spans]) -> NDArray[np.float64] | float:
    """The largest magnitude that an operator takes, of each channel by itself where it keeps channels apart."""
    before = [number for number in map(graph.producer, graph.taken(operator)) if number is not None]
    if not before:
        return 255.0
    found = np.maximum(np.abs(spans[before[0]].low), np.abs(spans[before[0]].high))
    if graph.kind(operator) == "DEPTHWISE_CONV_2D":
        return np.repeat(found, graph.shape(graph.given(operator))[-1] // len(found))
    return float(found.max())


def _rows(graph: Graph, operator: int) -> NDArray[np.float64] | None:
    """A layer's weights, one row an output channel."""
    if graph.kind(operator) not in WEIGHTED:
        return None
    weights = weights_of(graph, operator).astype(np.float64)
    if graph.kind(operator) == "DEPTHWISE_CONV_2D":
        return weights.reshape(-1, weights.shape[-1]).T
    return weights.reshape(len(weights), -1)


def _layer(graph: Graph, operator: int, case: Case, caused: Damage, together: Fidelity | None) -> Layer:
    ratio = None
    if case.weights is not None:
        largest = np.abs(case.weights).max(axis=1)
        used = largest[largest > UNUSED * largest.max()]
        ratio = float(used.max() / used.min()) if used.size else None
    accumulated = together or case.fidelity
    return Layer(
        name=case.name,
        operator=operator,
        kind=graph.kind(operator),
        activation=case.activation,
        weight_range_ratio=ratio,
        sqnr_db=accumulated.sqnr_db,
        cosine=accumulated.cosine,
        own_sqnr_db=case.fidelity.sqnr_db,
        own_cosine=case.fidelity.cosine,
        saturated=case.fidelity.saturated,
        mean_shift=case.fidelity.mean_shift,
        damage=case.damage,
        answers_changed=caused.changed / caused.pictures,
        top1_lost=100 * caused.lost / caused.pictures,
        blame=case.blame,
        cause=cause(case),
        sentence=sentence(case),
    )
