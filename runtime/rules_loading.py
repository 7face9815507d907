"""The doctor's rules about running a file: what edgeproof's own check and LiteRT say of it. See docs/doctor.md."""

from __future__ import annotations

from collections.abc import Iterator

from edgeproof.runtime import structure
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.errors import ModelError, first_line
from edgeproof.runtime.findings import Rule, Seen
from edgeproof.runtime.operators import KINDS
from edgeproof.runtime.specimen import Specimen

_KNOWN = {kind.name for kind in KINDS.values()}


def refusal(specimen: Specimen) -> str:
    """Why edgeproof's runtime would not give this flatbuffer to LiteRT; empty where it would."""
    try:
        structure.check(specimen.flatbuffer)
    except ModelError as error:
        return str(error).removeprefix("The model's graph is damaged or unsupported: ").partition(". Get ")[0]
    return ""


def _damaged(specimen: Specimen) -> Iterator[Seen]:
    if specimen.anatomy is not None and _is_plain(specimen) and (reason := refusal(specimen)):
        yield Seen(reason)


def _unsupported(specimen: Specimen) -> Iterator[Seen]:
    if specimen.anatomy is not None and not _is_plain(specimen) and (reason := refusal(specimen)):
        yield Seen(reason)


def _unloadable(specimen: Specimen) -> Iterator[Seen]:
    # What fails the check could take the whole process down with it.
    if specimen.anatomy is None or refusal(specimen):
        return
    from ai_edge_litert.interpreter import Interpreter

    try:
        with silenced():
            Interpreter(model_content=specimen.flatbuffer, num_threads=1).allocate_tensors()
    except (RuntimeError, ValueError) as error:
        yield Seen(first_line(error))


def _is_plain(specimen: Specimen) -> bool:
    """Whether this is an image classifier of operators that edgeproof knows: there the check's word counts."""
    body = specimen.anatomy
    if body is None or specimen.image is None or len(body.outputs) != 1 or len(body.model.subgraphs) != 1:
        return False
    return set(body.kinds) <= _KNOWN


RULES: tuple[Rule[Specimen], ...] = (
    Rule(
        "EP601",
        "error",
        "The graph contradicts itself, and is not run",
        "Export the model again. LiteRT could read past its memory with such a file.",
        _damaged,
    ),
    Rule(
        "EP602",
        "note",
        "edgeproof's runtime does not run this kind of model",
        "Other programs may well: it runs image classifiers, and checks every operator before LiteRT sees it.",
        _unsupported,
    ),
)
# Only for a file without an error so far.
LOADING: tuple[Rule[Specimen], ...] = (
    Rule(
        "EP603",
        "error",
        "LiteRT cannot load it",
        "Export the model again for this version of LiteRT.",
        _unloadable,
    ),
)
