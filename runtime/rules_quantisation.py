"""The doctor's rules about integers: scales, zero points, and where floats are left between. See docs/doctor.md."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.findings import Rule, Seen
from edgeproof.runtime.graph import WEIGHTED
from edgeproof.runtime.rules_graph import PASSING, titled
from edgeproof.runtime.specimen import Specimen, of_anatomy

LIMITS = {
    **{"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)},
    **{"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1)},
}
# The ranges that people scale pixels to.
RANGES = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (-128.0, 127.0))
# Operators that move values and do not change them, so that both sides must count in the same steps.
MOVING = (
    *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "PAD", "GATHER"),
    *("MAX_POOL_2D", "AVERAGE_POOL_2D", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE"),
)
ENDS = {"RELU6": (0.0, 6.0), "RELU": (0.0, math.inf), "RELU_N1_TO_1": (-1.0, 1.0)}
TYING_CLASSES = 10
TINY = float(np.finfo(np.float32).tiny)


@of_anatomy
def _per_tensor_depthwise(body: Anatomy) -> Iterator[Seen]:
    wrong = []
    for number in body.weighted():
        weights = body.takes[number][1]
        several = len(body.shape(weights)) == 4 and body.shape(weights)[-1] > 1
        single = body.is_integer(weights) and len(body.scales(weights)) == 1 and several
        if body.kinds[number] == "DEPTHWISE_CONV_2D" and single:
            wrong.append(number)
    yield from titled(body, wrong, "depthwise layers")


def _bytes_in(specimen: Specimen) -> Iterator[Seen]:
    body, image = specimen.anatomy, specimen.image
    if body is None or image is None or body.dtype(image) not in ("uint8", "int8"):
        return
    scale, zero = body.scale(image), int(body.zero_points(image)[0]) if len(body.zero_points(image)) else 0
    if not (math.isfinite(scale) and scale > 0):
        return
    ends = [(limit - zero) * scale for limit in LIMITS[body.dtype(image)]]
    known = RANGES[:1] if specimen.contract is not None else RANGES
    # Rounding the zero point moves both ends by up to a step.
    if not any(all(abs(end - want) <= 1.01 * (high - low) / 255 for end, want in zip(ends, (low, high), strict=True))
               for low, high in known):  # fmt: skip
        yield Seen(f"bytes 0 to 255 stand for {ends[0]:.4g} to {ends[1]:.4g} (scale {scale:.6g})", (body.name(image),))


def _probability_steps(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    if body is None:
        return
    for number in body.of_kind("SOFTMAX", "LOGISTIC"):
        for tensor in body.gives[number]:
            if body.dtype(tensor) in ("int8", "uint8"):
                yield from _off_steps(body, tensor, body.kinds[number])
    output = body.outputs[0] if specimen.classes else None
    maker = body.maker.get(output) if output is not None else None
    if output is not None and maker is not None and body.kinds[maker] == "QUANTIZE":
        before = body.maker.get(body.takes[maker][0]) if body.takes[maker] else None
        if before is not None and body.kinds[before] in ("SOFTMAX", "LOGISTIC") and "int8" in body.dtype(output):
            yield from _off_steps(body, output, body.kinds[before])


def _off_steps(body: Anatomy, tensor: int, kind: str) -> Iterator[Seen]:
    scale = body.scale(tensor)
    least = LIMITS[body.dtype(tensor)][0]
    zero = int(body.zero_points(tensor)[0]) if len(body.zero_points(tensor)) else 0
    # 1/255 is what some converters write; the answers are the same but for half a step.
    if not (abs(scale * 256 - 1) < 0.005 and zero == least):
        name = body.name(tensor)
        yield Seen(f"'{name}' behind {kind}: scale {scale:.6g} (1/256 is 0.00390625), zero point {zero}", (name,))


def _ties(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    if body is None or specimen.classes is None or specimen.image is None or specimen.classes < TYING_CLASSES:
        return
    tensor = body.outputs[0]
    while (maker := body.maker.get(tensor)) is not None and body.kinds[maker] in PASSING and body.takes[maker]:
        if "int8" in body.dtype(tensor):
            break
        tensor = body.takes[maker][0]
    if "int8" in body.dtype(tensor):
        step = body.scale(tensor)
        yield Seen(f"{specimen.classes} classes share {256} values, a step of {step:.4g}", (body.name(tensor),))


@of_anatomy
def _wide_ranges(body: Anatomy) -> Iterator[Seen]:
    wrong, worst = [], 1.0
    for number in body.of_kind(*WEIGHTED, "ADD", "MUL"):
        limits = ENDS.get(body.activation(number))
        tensor = body.gives[number][0] if body.gives[number] else -1
        if limits is None or tensor < 0 or body.dtype(tensor) not in LIMITS or not body.scale(tensor) > 0:
            continue
        least, most = LIMITS[body.dtype(tensor)]
        low, high = ((end - int(body.zero_points(tensor)[0])) * body.scale(tensor) for end in (least, most))
        used = (min(high, limits[1]) - max(low, limits[0])) / (high - low)
        if used < 0.75:
            wrong.append(number)
            worst = min(worst, used)
    yield from titled(body, wrong, f"layers (of the worst, {worst:.0%} of the steps can occur)")


RULES: tuple[Rule[Specimen], ...] = (
    Rule(
        "EP405",
        "warning",
        "Depthwise weights with one scale for all channels",
        "Quantise per channel: depthwise channels differ by factors of 10 to 100, and the small ones are lost.",
        _per_tensor_depthwise,
    ),
    Rule(
        "EP406",
        "warning",
        "The input's scale does not let a picture's bytes go in as they are",
        "Calibrate with pictures that hold black and white, so that bytes 0 and 255 are the ends of the range.",
        _bytes_in,
    ),
    Rule(
        "EP407",
        "warning",
        "8-bit probabilities that are not in steps of 1/256",
        "Give the output scale 1/256 and the least zero point: LiteRT's kernels take no other.",
        _probability_steps,
    ),
    Rule(
        "EP408",
        "warning",
        "8-bit answers of many classes, which can tie for the first place",
        "Export with float output; the softmax alone in float costs next to nothing.",
        _ties,
    ),
    Rule(
        "EP410",
        "warning",
        "A range wider than the activation behind it can use",
        "Calibrate again behind the fused activation: the steps above and below it are wasted.",
        _wide_ranges,
    ),
)
