"""The gate: exported files against Keras, on the same pixels, through the runtime that ships."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from msgspec import structs

from edgeproof.convert import classwise, explanations, gates, origin, paired, relabelling
from edgeproof.convert.classwise import ClassDrop, Shift
from edgeproof.convert.explanations import Case, Explanation
from edgeproof.convert.gates import Breach, Gates
from edgeproof.convert.paired import Paired
from edgeproof.convert.relabelling import Relabelling
from edgeproof.runtime import answers, graph
from edgeproof.runtime.accuracy import Probabilities, same_answers, ties, top_k
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.contract import Verification, digest, sha256
from edgeproof.runtime.errors import VerificationError
from edgeproof.runtime.foreign import Foreign, opened
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.modelfile import ModelFile

# Of a float32 file, unless another limit is given: the same arithmetic in another order changes near ties alone.
FLOAT_AGREEMENT = 0.99


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One exported file and what was found of it. `accepted` is False where `breaches` names a gate.

    `collapsed` are classes that the reference answers and the file never; `explanations`, the likely cause first,
    are sought for files of `verify` that are not accepted.
    """

    file: str
    recipe: str
    size_bytes: int
    sha256: str
    accepted: bool
    verification: Verification
    paired: Paired
    classes: tuple[ClassDrop, ...] = ()
    shifts: tuple[Shift, ...] = ()
    collapsed: tuple[str, ...] = ()
    breaches: tuple[Breach, ...] = ()
    explanations: tuple[Explanation, ...] = ()


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The content of verification.json."""

    schema: int = 1
    model: str
    max_drop: float
    min_agreement: float | None = None
    significance: float | None = None
    doubt: gates.Doubt = "fail"
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Evidence:
    """What every file is held against: test pictures, and Keras' outputs on them, of shape (images, classes).

    `keras_model` is the file that gave the outputs, where it is known.
    """

    test: LabelledPictures
    outputs: Probabilities
    keras_model: Path | None = None


def verify(paths: Sequence[Path], evidence: Evidence, limits: Gates, *, foreign: Foreign | None = None) -> Summary:
    """Hold existing files against the evidence, all at once, each through the shipped runtime.

    Besides the limits, a file must have its labels in the order of its outputs and come from the reference's weights.
    Raises `ModelError` for a file that cannot be run on the evidence's pictures, or has other labels.
    """
    said = foreign or Foreign()
    cores = os.cpu_count() or 1
    files = [[opened(path, said, num_threads=1) for _ in range(cores)] for path in paths]
    found = answers.outputs(files, evidence.test)
    results = (_examined(each[0].file, given, evidence, limits, said) for each, given in zip(files, found, strict=True))
    return Summary(
        model=", ".join(path.name for path in paths),
        max_drop=limits.max_drop,
        min_agreement=limits.min_agreement,
        significance=limits.significance,
        doubt=limits.doubt,
        results=tuple(results),
    )


def gate(summary: Summary) -> None:
    """Raise `VerificationError`, naming each file, its gates and the likely cause, unless all were accepted."""
    refused = [_refusal(result) for result in summary.results if not result.accepted]
    if refused:
        raise VerificationError("; ".join(refused) + ".")


def judge(
    target: Probabilities, evidence: Evidence, *, file: str, recipe: str, content: bytes, max_drop: float
) -> Result:
    """The result for a file of this name, recipe and content, whose outputs on the test pictures are `target`."""
    return judged(target, evidence, Gates(max_drop=max_drop), file=file, recipe=recipe, content=content)


def judged(
    target: Probabilities, evidence: Evidence, limits: Gates, *, file: str, recipe: str, content: bytes
) -> Result:
    """The result by the gates of accuracy and agreement alone."""
    test, reference = evidence.test, evidence.outputs
    found, pairs = compare(target, reference, test), paired.compare(target, reference, test.classes)
    breaches = gates.breaches(limits, found, pairs)
    return Result(
        file=file,
        recipe=recipe,
        size_bytes=len(content),
        sha256=sha256(content),
        accepted=not breaches,
        verification=found,
        paired=pairs,
        classes=classwise.drops(target, reference, test.classes, test.labels),
        shifts=classwise.shifts(target, reference, test.classes, test.labels),
        collapsed=classwise.collapsed(target, reference, test.labels),
        breaches=breaches,
    )


def outputs(classifiers: Sequence[Classifier], test: LabelledPictures) -> Probabilities:
    """One file's outputs on all test pictures, of shape (images, classes), in the order of the test set's labels.

    `classifiers` are all of one file. Raises `ModelError` when it takes another size or has other labels.
    """
    return answers.outputs([classifiers], test)[0]


def compare(target: Probabilities, reference: Probabilities, test: LabelledPictures) -> Verification:
    """Hold the file's outputs against Keras', both of shape (images, classes)."""
    first = top_k(target, test.classes, 1)
    reference_first = top_k(reference, test.classes, 1)
    same = same_answers(target, reference)
    return Verification(
        images=len(test),
        images_digest=digest(test.hashes),
        reference_top1=reference_first.share,
        reference_top5=top_k(reference, test.classes, 5).share,
        top1=first.share,
        top1_interval=first.interval(),
        top5=top_k(target, test.classes, 5).share,
        drop_points=100 * (reference_first.correct - first.correct) / len(test),
        same_answers=same.share,
        different_answers=same.total - same.correct,
        largest_margin_of_a_different_answer=_largest_margin(target, reference),
        ties=ties(target),
    )


def _examined(file: ModelFile, target: Probabilities, evidence: Evidence, limits: Gates, said: Foreign) -> Result:
    """The result by every gate, with explanations where one was not passed."""
    strict = limits.min_agreement is None and _is_float32(file)
    own = structs.replace(limits, min_agreement=FLOAT_AGREEMENT) if strict else limits
    recipe = file.contract.recipe if file.contract is not None else "unknown"
    content = file.path.read_bytes()
    result = judged(target, evidence, own, file=file.path.name, recipe=recipe, content=content)
    moved = relabelling.found(target, evidence.outputs, evidence.test.labels)
    breaches = (*result.breaches, *_defects(file, evidence, moved))
    if not breaches:
        return result
    span = (0.0, 255.0) if file.contract is not None else said.input_range
    case = Case(file, target, evidence.outputs, evidence.test, span, moved, evidence.keras_model)
    return structs.replace(result, accepted=False, breaches=breaches, explanations=explanations.explain(case))


def _defects(file: ModelFile, evidence: Evidence, moved: Relabelling | None) -> tuple[Breach, ...]:
    """What no limit allows: labels that are not in the order of the outputs, and a record of other weights."""
    found: tuple[Breach, ...] = ()
    if moved is not None:
        found += (Breach(gate="labels", sentence="its answers fit the reference better with labels exchanged"),)
    recorded = file.contract is not None and "keras_sha256" in file.contract.provenance
    if recorded and evidence.keras_model is not None and origin.compare(file, evidence.keras_model).same is False:
        found += (Breach(gate="weights", sentence="its contract and its weights are of another Keras model"),)
    return found


def _is_float32(file: ModelFile) -> bool:
    """Whether nothing in the graph is rounded to fewer bits than the reference has."""
    read = graph.Graph.read(file.flatbuffer)
    kinds = {tensor.type for tensor in read.tensors} - {graph.TYPES["int32"], graph.TYPES["int64"]}
    return kinds <= {graph.TYPES["float32"]}


def _refusal(result: Result) -> str:
    named = " and ".join(breach.sentence for breach in result.breaches)
    cause = f"; likely cause: {result.explanations[0].sentence}" if result.explanations else ""
    return f"{result.file}: {named}{cause}"


def _largest_margin(target: Probabilities, reference: Probabilities) -> float:
    """How sure Keras was, at most, where the file answers differently: its answer's lead over the file's answer."""
    ours, theirs = target.argmax(axis=1), reference.argmax(axis=1)
    rows = np.arange(len(ours))
    return float((reference[rows, theirs] - reference[rows, ours]).max(initial=0.0))
