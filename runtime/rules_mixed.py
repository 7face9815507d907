"""The doctor's rules about floats and integers side by side in one graph. See docs/doctor.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeproof.runtime.anatomy import CONVOLUTIONS, Anatomy
from edgeproof.runtime.findings import Rule, Seen
from edgeproof.runtime.rules_graph import titled
from edgeproof.runtime.specimen import Specimen, of_anatomy


def _islands(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    if body is None or not any(_integer_layer(body, number) for number in body.weighted()):
        return
    inside: set[int] = set()
    for number in body.of_kind("DEQUANTIZE"):
        # What comes from the input or goes to the output is a float end, left so on purpose.
        if body.takes[number] and body.constant(body.takes[number][0]) is None and not _is_input(body, number):
            inside |= _between(body, number)
    if inside:
        yield from titled(body, sorted(inside), "float operators between integer ones")


def _between(body: Anatomy, start: int) -> set[int]:
    """The float operators behind a DEQUANTIZE from which a way leads back to integers, and not to the output."""
    reached: set[int] = set()
    ways = [(start, frozenset[int]())]
    seen = {start}
    while ways:
        number, way = ways.pop()
        for taker in [taker for tensor in body.gives[number] for taker in body.takers.get(tensor, [])]:
            if body.kinds[taker] == "QUANTIZE":
                if not set(body.gives[taker]) & set(body.outputs):
                    reached |= way
            elif taker not in seen and body.kinds[taker] != "DEQUANTIZE":
                seen.add(taker)
                ways.append((taker, way | {taker}))
    return reached


@of_anatomy
def _back_to_back(body: Anatomy) -> Iterator[Seen]:
    found = []
    for number in body.of_kind("QUANTIZE", "DEQUANTIZE"):
        other = "DEQUANTIZE" if body.kinds[number] == "QUANTIZE" else "QUANTIZE"
        taken = [body.takes[taker][0] for tensor in body.gives[number] for taker in body.takers.get(tensor, [])]
        takers = [taker for tensor in body.gives[number] for taker in body.takers.get(tensor, [])]
        rounded = body.takes[number] and body.constant(body.takes[number][0]) is None
        if taken and rounded and all(body.kinds[taker] == other for taker in takers):
            found.append(number)
    yield from titled(body, found, "pairs")


def _hybrid(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    yield from titled(body, _hybrids(body, ("FULLY_CONNECTED",)) if body else [], "dense layers")


def _hybrid_convolutions(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    yield from titled(body, _hybrids(body, CONVOLUTIONS) if body else [], "convolutions")


def _hybrids(body: Anatomy, kinds: Sequence[str]) -> list[int]:
    """Layers that turn float activations into integers whenever they run."""
    numbers = [number for number in body.weighted() if body.kinds[number] in kinds]
    return [n for n in numbers if body.is_float(body.takes[n][0]) and body.is_integer(body.takes[n][1])]


@of_anatomy
def _half_floats(body: Anatomy) -> Iterator[Seen]:
    halves = [t for t in range(len(body.graph.tensors)) if body.dtype(t) == "float16" and body.stored(t)]
    upcast = [t for t in halves if any(body.kinds[taker] == "DEQUANTIZE" for taker in body.takers.get(t, []))]
    if upcast:
        size = sum(body.stored(tensor) for tensor in upcast)
        yield Seen(f"{len(upcast)} float16 constants: {size} bytes in the file, {2 * size} in memory")


def _integer_layer(body: Anatomy, number: int) -> bool:
    return body.is_integer(body.takes[number][0]) and body.is_integer(body.takes[number][1])


def _is_input(body: Anatomy, number: int) -> bool:
    return bool(set(body.takes[number]) & set(body.inputs))


RULES: tuple[Rule[Specimen], ...] = (
    Rule(
        "EP401",
        "warning",
        "Islands of float in an integer file",
        "Replace these layers with ones that the quantiser knows; as it is, each island costs two conversions.",
        _islands,
    ),
    Rule(
        "EP402",
        "warning",
        "Quantise and dequantise back to back",
        "Let the neighbours share one scale: the pair costs time and rounds for nothing.",
        _back_to_back,
    ),
    Rule(
        "EP403",
        "note",
        "Dense layers with integer weights and float activations",
        "The file is smaller so, but activations are quantised anew at every call. Full int8 is faster.",
        _hybrid,
    ),
    Rule(
        "EP404",
        "warning",
        "A dynamic-range file of a convolutional network: slower than float32",
        "Export int8 with calibration, or float16: hybrid convolutions are slower than float ones on most processors.",
        _hybrid_convolutions,
    ),
    Rule(
        "EP409",
        "note",
        "A float16 file, which is turned into float32 at load",
        "It saves disk and download, not memory or time, but on GPUs that compute in float16.",
        _half_floats,
    ),
)
