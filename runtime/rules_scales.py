"""The doctor's rules about scales and zero points that give wrong answers. See docs/doctor.md."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.findings import Rule, Seen, listed
from edgeproof.runtime.rules_quantisation import LIMITS, MOVING, TINY
from edgeproof.runtime.specimen import Specimen, of_anatomy

# LiteRT's kernels tolerate a bias that is off by this share of a step of the output.
BIAS_TOLERANCE = 0.02
LARGEST_MULTIPLIER = 256.0


@of_anatomy
def _impossible(body: Anatomy) -> Iterator[Seen]:
    wrong = []
    for tensor in _quantised(body):
        scales = body.scales(tensor)
        if not (np.isfinite(scales) & (scales >= TINY)).all():
            odd = scales[~(np.isfinite(scales) & (scales >= TINY))]
            wrong.append((tensor, f"'{body.name(tensor)}' has {odd[0]:g}"))
    yield from _tensors(body, wrong)


@of_anatomy
def _zero_points(body: Anatomy) -> Iterator[Seen]:
    wrong = []
    for tensor in _quantised(body):
        least, most = LIMITS.get(body.dtype(tensor), (0, 0))
        odd = [int(zero) for zero in body.zero_points(tensor) if not least <= zero <= most]
        if odd:
            wrong.append((tensor, f"'{body.name(tensor)}' ({body.dtype(tensor)}) has {odd[0]}"))
    yield from _tensors(body, wrong)


@of_anatomy
def _counts(body: Anatomy) -> Iterator[Seen]:
    wrong = []
    for tensor in _quantised(body):
        scales, shape = len(body.scales(tensor)), body.shape(tensor)
        axis = body.axis(tensor)
        channels = shape[axis] if 0 <= axis < len(shape) else 1
        if scales > 1 and (scales != channels or len(body.zero_points(tensor)) not in (1, scales)):
            wrong.append((tensor, f"'{body.name(tensor)}' has {scales} scales for {channels} channels"))
    yield from _tensors(body, wrong)


@of_anatomy
def _asymmetric(body: Anatomy) -> Iterator[Seen]:
    wrong = []
    for number in body.weighted():
        weights = body.takes[number][1]
        zeros = body.zero_points(weights)
        if weights >= 0 and body.dtype(weights) in ("int8", "int4") and zeros.any():
            wrong.append((weights, f"'{body.name(weights)}' has {zeros[zeros != 0][0]}"))
    yield from _tensors(body, wrong)


@of_anatomy
def _biases(body: Anatomy) -> Iterator[Seen]:
    wrong = []
    for number in body.weighted():
        taken = body.takes[number]
        bias = taken[2] if len(taken) > 2 else -1
        if bias < 0 or body.dtype(bias) not in ("int32", "int64") or not len(body.scales(bias)):
            continue
        wanted = body.scale(taken[0]) * body.scales(taken[1])
        has = body.scales(bias)
        if not np.isfinite(wanted).all() or (len(wanted) != len(has) and 1 not in (len(wanted), len(has))):
            continue
        off = np.abs(has - wanted) / np.where(wanted > 0, wanted, 1)
        if off.max(initial=0) > BIAS_TOLERANCE or body.zero_points(bias).any():
            worst = int(np.argmax(off))
            numbers = f"{_at(has, worst):.4g}, input times weights is {_at(wanted, worst):.4g}"
            wrong.append((bias, f"'{body.name(bias)}' has {numbers}"))
    yield from _tensors(body, wrong)


@of_anatomy
def _multipliers(body: Anatomy) -> Iterator[Seen]:
    wrong = []
    for number in body.weighted():
        if not body.gives[number]:
            continue
        taken, given = body.takes[number], body.gives[number][0]
        products = body.scale(taken[0]) * body.scales(taken[1])
        step = body.scale(given)
        if not len(products) or not step > 0 or not np.isfinite(products).all():
            continue
        if products.max() / step >= LARGEST_MULTIPLIER:
            wrong.append((given, f"operator {body.title(number)}: {products.max() / step:.4g}"))
    yield from _tensors(body, wrong)


@of_anatomy
def _moved(body: Anatomy) -> Iterator[Seen]:
    wrong = []
    for number in body.of_kind(*MOVING):
        if not body.takes[number] or not body.gives[number]:
            continue
        taken, given = body.takes[number][0], body.gives[number][0]
        steps = body.scale(taken), body.scale(given)
        if not all(step > 0 for step in steps):
            continue
        zeros = int(body.zero_points(taken)[0]), int(body.zero_points(given)[0])
        if not math.isclose(*steps, rel_tol=1e-3) or zeros[0] != zeros[1]:
            numbers = f"{steps[0]:.4g} from {zeros[0]} in, {steps[1]:.4g} from {zeros[1]} out"
            wrong.append((given, f"operator {body.title(number)}: {numbers}"))
    yield from _tensors(body, wrong)


def _quantised(body: Anatomy) -> list[int]:
    return [t for t in range(len(body.graph.tensors)) if body.is_integer(t) and len(body.scales(t))]


def _at(values: NDArray[np.float64], place: int) -> float:
    return float(values[min(place, len(values) - 1)])


def _tensors(body: Anatomy, wrong: list[tuple[int, str]]) -> Iterator[Seen]:
    if wrong:
        evidence = listed([words for _, words in wrong], most=2)
        yield Seen(f"{len(wrong)}: {evidence}", tuple(body.name(tensor) for tensor, _ in wrong))


_QUANTISE = "Quantise the model again from float, with another version of the tool that made it."
RULES: tuple[Rule[Specimen], ...] = (
    Rule("EP451", "error", "Scales that are zero, negative, not finite or subnormal", _QUANTISE, _impossible),
    Rule("EP452", "error", "Zero points outside of the integers' range", _QUANTISE, _zero_points),
    Rule("EP453", "error", "Not as many scales as channels", _QUANTISE, _counts),
    Rule(
        "EP454",
        "error",
        "int8 weights with a zero point",
        "Quantise weights symmetrically: LiteRT's kernels leave a zero point of weights out of account.",
        _asymmetric,
    ),
    Rule(
        "EP455",
        "error",
        "A bias in other steps than its layer adds up in",
        "A bias' scale must be the input's times the weights'. If scales were edited, bring the bias along.",
        _biases,
    ),
    Rule(
        "EP456",
        "error",
        "A layer's output in steps far finer than its sums: XNNPACK refuses it, LiteRT may crash",
        f"Input scale times weight scale over output scale must stay below {LARGEST_MULTIPLIER:g}. {_QUANTISE}",
        _multipliers,
    ),
    Rule(
        "EP457",
        "error",
        "An operator that only moves values changes their steps",
        f"Both sides must have one scale and zero point: the integers are copied. {_QUANTISE}",
        _moved,
    ),
)
