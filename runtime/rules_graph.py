"""The doctor's rules about operators: which there are, and in what order. See docs/doctor.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.findings import Rule, Seen, listed
from edgeproof.runtime.graph import WEIGHTED
from edgeproof.runtime.operator_versions import NEWEST, RUNTIME
from edgeproof.runtime.specimen import Specimen, of_anatomy

# Custom operators that LiteRT's Python package brings.
BROUGHT = {"TFLite_Detection_PostProcess", "Mfcc", "AudioSpectrogram", "NumericVerify"}
PROBABILITIES = ("SOFTMAX", "LOGISTIC")
# What may stand between a softmax and the output.
PASSING = ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE")


def _flex(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    found = _custom(body) if body else []
    yield from _operators(body, [number for number, kind in found if kind.startswith("Flex")])


def _unknown_custom(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    found = _custom(body) if body else []
    yield from _operators(body, [n for n, kind in found if kind not in BROUGHT and not kind.startswith("Flex")])


def _known_custom(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    yield from _operators(body, [number for number, kind in _custom(body) if kind in BROUGHT] if body else [])


@of_anatomy
def _too_new(body: Anatomy) -> Iterator[Seen]:
    found: dict[str, int] = {}
    for number, kind in enumerate(body.kinds):
        if not body.is_custom(number) and body.version(number) > NEWEST.get(kind, 0):
            found[kind] = max(found.get(kind, 0), body.version(number))
    for kind, version in found.items():
        newest = f"runs it up to version {NEWEST[kind]}" if kind in NEWEST else "does not run it"
        places = tuple(body.title(number) for number in body.of_kind(kind))
        yield Seen(f"{kind} version {version}; {RUNTIME} {newest}", places)


def _baked_batch(specimen: Specimen) -> Iterator[Seen]:
    body, image = specimen.anatomy, specimen.image
    if body is None or image is None:
        return
    batch = body.shape(image)[0]
    wrong = []
    for number in body.of_kind("RESHAPE"):
        shape = _wanted_shape(body, number)
        activation = body.takes[number] and body.constant(body.takes[number][0]) is None
        if activation and len(shape) > 1 and shape[0] == batch and body.shape(body.takes[number][0])[:1] == (batch,):
            wrong.append(number)
    yield from _operators(body, wrong, before=f"the shape begins with {batch}: ")


def _dynamic_batch(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    for tensor in body.inputs if body else []:
        if body and -1 in body.signature(tensor):
            sides = "×".join("?" if side < 0 else str(side) for side in body.signature(tensor))
            yield Seen(f"the input '{body.name(tensor)}' is {sides}", (body.name(tensor),))


def _ends(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    if body is not None and (len(body.inputs) != 1 or len(body.outputs) != 1):
        yield Seen(f"{_counted(len(body.inputs), 'input')} and {_counted(len(body.outputs), 'output')}")


def _subgraphs(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    if body is not None and len(body.model.subgraphs) > 1:
        sizes = [len(each.operators or []) for each in body.model.subgraphs]
        yield Seen(f"{len(sizes)} subgraphs of {listed([str(size) for size in sizes], most=6)} operators")


def _channels_first(specimen: Specimen) -> Iterator[Seen]:
    body, image = specimen.anatomy, specimen.image
    if body is None or image is None:
        return
    shape = body.shape(image)
    if shape[1] in (1, 3) and shape[3] not in (1, 2, 3, 4):
        yield Seen(f"the input '{body.name(image)}' is {'×'.join(map(str, shape))}", (body.name(image),))


def _unfolded(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    yield from _operators(body, [n for n in body.of_kind("MUL", "ADD", "SUB") if _foldable(body, n)] if body else [])


def _foldable(body: Anatomy, number: int) -> bool:
    """Whether an operator scales or shifts each channel of a layer that could do so itself."""
    operands = body.takes[number]
    constants = [body.constant(tensor) for tensor in operands]
    if len(operands) != 2 or sum(constant is not None for constant in constants) != 1:
        return False
    place = 0 if constants[0] is None else 1
    taken, factors = operands[place], constants[1 - place]
    channels = body.shape(taken)[-1:]
    maker = body.maker.get(taken)
    return (
        factors is not None
        and 1 < factors.size == (channels[0] if channels else 0) == factors.shape[-1]
        and maker is not None
        and body.kinds[maker] in WEIGHTED
        and body.activation(maker) == "NONE"
        and body.takers[taken] == [number]
        and taken not in body.outputs
    )


def _no_probabilities(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    if body is None or specimen.classes is None or specimen.image is None:
        return
    tensor = body.outputs[0]
    while (maker := body.maker.get(tensor)) is not None and body.kinds[maker] in PASSING and body.takes[maker]:
        tensor = body.takes[maker][0]
    if maker is not None and body.kinds[maker] not in PROBABILITIES:
        yield Seen(f"the last operator is {body.title(maker)}; there is no softmax", (body.title(maker),))


@of_anatomy
def _idle(body: Anatomy) -> Iterator[Seen]:
    wanted = set(body.outputs) | set(body.takers)
    yield from _operators(body, [n for n, given in enumerate(body.gives) if given and not wanted & set(given)])


def _custom(body: Anatomy) -> list[tuple[int, str]]:
    return [(number, kind) for number, kind in enumerate(body.kinds) if body.is_custom(number)]


def _operators(body: Anatomy | None, numbers: Sequence[int], *, before: str = "") -> Iterator[Seen]:
    if body is not None and numbers:
        titles = tuple(body.title(number) for number in numbers)
        yield Seen(f"{before}{len(numbers)} of {len(body)} operators: {listed(titles)}", titles)


def titled(body: Anatomy | None, numbers: Sequence[int], what: str) -> Iterator[Seen]:
    """What a rule saw at some operators: how many, and the first few by name."""
    if body is not None and numbers:
        titles = tuple(body.title(number) for number in numbers)
        yield Seen(f"{len(titles)} {what}: {listed(titles)}", titles)


def _wanted_shape(body: Anatomy, number: int) -> tuple[int, ...]:
    """What a RESHAPE makes: its second input, or in older files its options."""
    given = body.constant(body.takes[number][1]) if len(body.takes[number]) > 1 else None
    if given is None:
        given = getattr(body.graph.operators[number].builtinOptions, "newShape", None)
    return () if given is None else tuple(int(side) for side in np.atleast_1d(given).ravel())


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


RULES: tuple[Rule[Specimen], ...] = (
    Rule(
        "EP301",
        "error",
        "Operators of TensorFlow (Flex), which LiteRT does not bring",
        "Convert with TFLITE_BUILTINS alone and replace the layers behind them, or ship the Flex delegate.",
        _flex,
    ),
    Rule(
        "EP302",
        "error",
        "Custom operators that LiteRT does not know",
        "Replace the layers behind them, or register the operators in every program that runs the file.",
        _unknown_custom,
    ),
    Rule(
        "EP303",
        "note",
        "Custom operators that LiteRT brings and others may not",
        "See that the runtime of each target device has them; accelerators run them on the processor.",
        _known_custom,
    ),
    Rule(
        "EP304",
        "error",
        "Operators newer than the runtime",
        "Update LiteRT on the device, or convert with the version of TensorFlow that fits it.",
        _too_new,
    ),
    Rule(
        "EP305",
        "warning",
        "A batch size baked into a RESHAPE",
        "Let the shape begin with -1: batches of any other size are refused or mixed up.",
        _baked_batch,
    ),
    Rule(
        "EP306",
        "warning",
        "An input of unknown size, which browsers do not run",
        "Convert a concrete function with the batch fixed at 1: LiteRT.js cannot resize. Python still can.",
        _dynamic_batch,
    ),
    Rule(
        "EP307",
        "note",
        "Not one input and one output",
        "An image classifier has one each; for any other model this is as it should be.",
        _ends,
    ),
    Rule(
        "EP308",
        "note",
        "Several subgraphs",
        "Loops and initialisers need them, a classifier does not; the rules looked at the first alone.",
        _subgraphs,
    ),
    Rule(
        "EP309",
        "warning",
        "Channels come first (NCHW)",
        "Convert with channels last: clients feed height × width × 3, and LiteRT's kernels want it so.",
        _channels_first,
    ),
    Rule(
        "EP310",
        "warning",
        "Batch norm was not folded into the layer before",
        "Convert in inference mode, with batch norm right behind the layer and no activation in between.",
        _unfolded,
    ),
    Rule(
        "EP311",
        "warning",
        "The output is no probabilities",
        "Put a softmax at the end: scores and thresholds of clients mean nothing without.",
        _no_probabilities,
    ),
    Rule(
        "EP312",
        "warning",
        "Operators whose results nobody takes",
        "Convert from the wanted output alone: they cost time.",
        _idle,
    ),
)
