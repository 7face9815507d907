"""What makes a layer lose in int8, and what helps: told by the remedy that undoes most of the damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.equalisation import Spans
from edgeproof.convert.fidelity import Fidelity

Cause = Literal["none", "saturation", "channels", "bias", "offsets", "weights", "steps"]
# Below so many nats a picture, hardly an answer in a hundred changes.
NEGLIGIBLE = 0.002
# The first cause that explains so much of the damage is named; failing that, the one that explains most.
_MOST, _SOME = 0.5, 0.25


@dataclass(frozen=True, slots=True)
class Case:
    """What was measured of one operator. Damages are mean divergences in nats when it alone is in int8.

    `variants` are those of `remedies`, `moved` what equalising this layer's channels would undo in the operators of
    these names behind it. `blame` is the damage with that, and without what equalising the layer before would undo.
    `weights` has one row an output channel; `input_reach` is the largest magnitude that each row, or any, meets.
    """

    name: str
    activation: str
    gives_answers: bool
    damage: float
    blame: float
    variants: Mapping[str, float]
    moved: Mapping[str, float]
    fidelity: Fidelity
    spans: Spans
    limits: tuple[float, float] | None
    weights: NDArray[np.float64] | None = None
    input_reach: NDArray[np.float64] | float = 0.0


def undone(case: Case) -> dict[Cause, float]:
    """How much of the blame each cause's remedy takes away, in nats; the cheapest remedy first."""
    variants = case.variants
    output = variants.get("output", case.damage)
    weights = variants.get("weights", 0.0)
    return {
        "saturation": output - variants.get("unsaturated", output),
        "channels": output - variants.get("equalised output", output) + sum(case.moved.values()),
        "bias": case.damage - variants.get("bias corrected", case.damage),
        "offsets": output - variants.get("centred", output),
        "weights": min(weights, variants.get("equalised weights", weights)),
    }


def cause(case: Case) -> Cause:
    """The cause whose remedy takes most of the blame away; "steps" where none does, "none" below `NEGLIGIBLE`."""
    if case.blame < NEGLIGIBLE:
        return "none"
    found = undone(case)
    for name, amount in found.items():
        if amount >= _MOST * case.blame:
            return name
    best = max(found, key=lambda name: found[name])
    return best if found[best] >= _SOME * case.blame else "steps"


def sentence(case: Case) -> str:
    """Cause and remedy of one operator, in the words of the Keras model."""
    kind = cause(case)
    if kind == "none":
        return f"{case.name}: nothing wrong."
    remedy = "answers in float" if kind == "steps" and case.gives_answers else _REMEDIES[kind]
    return f"{case.name}: {_TOLD[kind](case)} Remedy: {remedy}{_effect(case, kind)}."


def _saturation(case: Case) -> str:
    low, high = case.limits or (0.0, 0.0)
    return (
        f"{case.fidelity.saturated:.2%} of its values lie outside the {low:.3g} to {high:.3g} that calibration gave it."
    )


def _channels(case: Case) -> str:
    every = np.maximum(np.abs(case.spans.low), np.abs(case.spans.high))
    reach = every[every > 0] if every.any() else every
    low, high = case.limits or (0.0, 0.0)
    told = (
        f"its channels reach from {reach.min():.3g} to {reach.max():.3g}, half of them no further than "
        f"{np.median(reach):.3g}, and share steps of {(high - low) / 255:.2g}."
    )
    behind = max(case.moved, key=lambda name: case.moved[name], default="")
    if behind and case.moved[behind] > 0.1 * case.blame:
        told += f" The weights of {behind} that make up for it share one scale too, and the small ones are lost."
    return told


def _bias(case: Case) -> str:
    size = f"{case.fidelity.mean_shift:.1%} of their standard deviation"
    shift = f"rounding its weights moves the means of its channels by {size}"
    return f"{shift}; {_gains(case)}" if case.weights is not None else f"{shift}."


def _offsets(case: Case) -> str:
    middle = (case.spans.low + case.spans.high) / 2
    spread = float(np.median(case.spans.high - case.spans.low))
    return (
        f"the middles of its channels lie between {middle.min():.3g} and {middle.max():.3g}, but most channels span "
        f"only {spread:.3g}: most of the 256 steps serve the offsets."
    )


def _weights(case: Case) -> str:
    return f"{_gains(case)} A scale for each channel, which it has already, does not help."


def _gains(case: Case) -> str:
    """How far one step of a weight carries, in the channels that are ever active."""
    if case.weights is None:
        return "its constants are too coarse in int8."
    active = case.spans.high > case.spans.low
    rows = np.abs(case.weights[active if active.any() else slice(None)])
    carried = float((np.abs(case.weights).max(axis=1) / 127 * case.input_reach).max())
    low, high = case.limits or (0.0, 0.0)
    full = "ReLU6's 6" if case.activation == "RELU6" else f"a range of {high - low:.3g}"
    return (
        f"its filters have gains from {rows.sum(axis=1).min():.2g} to {rows.sum(axis=1).max():.2g}, so one int8 step "
        f"of a weight moves an output by up to {carried:.2g} of {full}."
    )


def _steps(case: Case) -> str:
    low, high = case.limits or (0.0, 0.0)
    return f"256 steps from {low:.3g} to {high:.3g}, of {(high - low) / 255:.2g} each, are too coarse for its values."


_TOLD = {
    "saturation": _saturation,
    "channels": _channels,
    "bias": _bias,
    "offsets": _offsets,
    "weights": _weights,
    "steps": _steps,
}
_REMEDIES = {
    "saturation": "the range estimator min-max, or more calibration pictures",
    "channels": "cross-layer equalisation",
    "bias": "bias correction",
    "offsets": "equalisation, which moves offsets into the biases behind",
    "weights": "rounding by output error, else leave it in float",
    "steps": "16-bit activations (int16x8), or leave it in float",
}


def _effect(case: Case, kind: Cause) -> str:
    if kind not in ("saturation", "channels", "bias", "offsets"):
        return ""
    return f", which takes {min(undone(case)[kind] / case.blame, 1.0):.0%} of the damage away"
