"""The doctor's rules about constants: numbers that are none, filters that are dead or crushed. See docs/doctor.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.anatomy import CONVOLUTIONS, Anatomy
from edgeproof.runtime.findings import Rule, Seen, listed
from edgeproof.runtime.specimen import Specimen, of_anatomy

# Filters whose largest weight is so few steps from zero have next to no shape left.
FEW_STEPS = 3
# A filter is dead when it is so much smaller than the largest of its layer.
DEAD = 1e-6
INT32 = 2**31 - 1
# How far an 8-bit activation is from its zero point at most.
EIGHT_BITS = 255


@of_anatomy
def _not_finite(body: Anatomy) -> Iterator[Seen]:
    wrong, words = [], []
    for tensor, values in _floats(body):
        bad = int(np.isnan(values).sum())
        # A mask or a padding may well be infinite; weights and biases may not.
        bad += int(np.isinf(values).sum()) if tensor in _weights_and_biases(body) else 0
        if bad:
            wrong.append(body.name(tensor))
            words.append(f"{bad} of {values.size} in '{body.name(tensor)}'")
    if wrong:
        yield Seen(listed(words), tuple(wrong))


@of_anatomy
def _dead(body: Anatomy) -> Iterator[Seen]:
    words, wrong, dead = [], [], 0
    for number in body.weighted():
        filters = _filters(body, number)
        if filters is None:
            continue
        largest = np.abs(filters).max(axis=1)
        zero = int((largest <= DEAD * largest.max()).sum())
        if zero:
            dead += zero
            wrong.append(body.title(number))
            words.append(f"{zero} of {len(filters)} in {body.title(number)}")
    if wrong:
        yield Seen(f"{dead} filters are zero: {listed(words)}", tuple(wrong))


@of_anatomy
def _crushed(body: Anatomy) -> Iterator[Seen]:
    words, wrong = [], []
    for number in body.weighted():
        weights = body.takes[number][1]
        if body.kinds[number] not in CONVOLUTIONS or body.dtype(weights) not in ("int8", "uint8"):
            continue
        filters = _filters(body, number)
        if filters is None or len(body.scales(weights)) != 1:
            continue
        reach = np.abs(filters).max(axis=1)
        few = int(((reach > 0) & (reach <= FEW_STEPS)).sum())
        if few:
            wrong.append(body.title(number))
            words.append(f"{few} of {len(filters)} in {body.title(number)}")
    if wrong:
        yield Seen(f"filters of at most {FEW_STEPS} steps of 127: {listed(words)}", tuple(wrong))


@of_anatomy
def _subnormal(body: Anatomy) -> Iterator[Seen]:
    words, wrong = [], []
    for tensor, values in _floats(body):
        if values.dtype == np.float32:
            tiny = int(((values != 0) & (np.abs(values) < np.finfo(np.float32).tiny)).sum())
            if tiny:
                wrong.append(body.name(tensor))
                words.append(f"{tiny} of {values.size} in '{body.name(tensor)}'")
    if wrong:
        yield Seen(listed(words), tuple(wrong))


@of_anatomy
def _large_biases(body: Anatomy) -> Iterator[Seen]:
    words, wrong = [], []
    for number in body.weighted():
        taken = body.takes[number]
        bias, filters = body.constant(taken[2]) if len(taken) > 2 else None, _filters(body, number)
        if bias is None or bias.dtype != np.int32 or filters is None or len(bias) != len(filters):
            continue
        if not body.dtype(taken[0]).endswith("int8"):
            continue
        reach = np.abs(bias.astype(np.int64)) + EIGHT_BITS * np.abs(filters.astype(np.int64)).sum(axis=1)
        over = int((reach >= INT32).sum())
        if over:
            wrong.append(body.title(number))
            words.append(f"{over} of {len(reach)} up to {reach.max():.4g} in {body.title(number)}")
    if wrong:
        yield Seen(f"int32 ends at {INT32:.4g}: {listed(words)}", tuple(wrong))


def _floats(body: Anatomy) -> Iterator[tuple[int, NDArray[Any]]]:
    for tensor in range(len(body.graph.tensors)):
        values = body.constant(tensor) if body.is_float(tensor) else None
        if values is not None:
            yield tensor, values


def _weights_and_biases(body: Anatomy) -> set[int]:
    """The constants of layers, also those that are turned into float32 at load."""
    direct = {tensor for number in body.weighted() for tensor in body.takes[number][1:]}
    makers = [body.maker[tensor] for tensor in direct if tensor in body.maker]
    return direct | {tensor for maker in makers for tensor in body.takes[maker]}


def _filters(body: Anatomy, number: int) -> NDArray[Any] | None:
    """A layer's weights as real multiples of a step, a row for each filter; None where they are no constant."""
    weights = body.weights(number)
    if weights is None or weights.ndim < 2 or not weights.size:
        return None
    values = weights if weights.dtype.kind == "f" else weights.astype(np.int32)
    zeros = body.zero_points(body.takes[number][1])
    if values.dtype.kind == "i" and len(zeros) == 1 and abs(int(zeros[0])) <= INT32:
        values = values - int(zeros[0])
    # Depthwise filters lie along the last side, the others along the first.
    rows = values.reshape(-1, values.shape[-1]).T if body.channels_last(number) else values.reshape(len(values), -1)
    return np.asarray(rows)


RULES: tuple[Rule[Specimen], ...] = (
    Rule(
        "EP501",
        "error",
        "Constants that are no numbers",
        "Train again from before the loss became NaN, and export that.",
        _not_finite,
    ),
    Rule(
        "EP502",
        "warning",
        "Dead filters",
        "Remove these channels, or train again with a lower rate: they cost time and give nothing.",
        _dead,
    ),
    Rule(
        "EP503",
        "warning",
        "Filters crushed by a scale that all channels share",
        "Quantise per channel, or equalise the channels first (`edgeproof convert` does both).",
        _crushed,
    ),
    Rule(
        "EP504",
        "note",
        "Subnormal constants",
        "Set them to zero: some processors take a hundred times longer with such numbers.",
        _subnormal,
    ),
    Rule(
        "EP505",
        "warning",
        "Sums that reach past int32",
        "They may overflow, or their bias was cut off: give the layer larger steps, or leave it in float.",
        _large_biases,
    ),
)
