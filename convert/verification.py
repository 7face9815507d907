"""The gate: an exported file against Keras, on the same pixels, through the runtime that ships."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import msgspec
import numpy as np

from edgeproof.convert import paired
from edgeproof.convert.paired import Paired
from edgeproof.runtime import progress
from edgeproof.runtime.accuracy import Probabilities, same_answers, ties, top_k
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.contract import Verification, digest, sha256
from edgeproof.runtime.errors import DataError, ModelError, VerificationError
from edgeproof.runtime.foreign import Foreign, opened
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train.run import open_complete

BATCH = 256


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One exported file and what was found of it. `accepted` is False for a drop beyond the limit."""

    file: str
    recipe: str
    size_bytes: int
    sha256: str
    accepted: bool
    verification: Verification
    paired: Paired


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The content of verification.json."""

    schema: int = 1
    model: str
    max_drop: float
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Evidence:
    """What every file is held against: test pictures, and Keras' outputs on them, of shape (images, classes)."""

    test: LabelledPictures
    outputs: Probabilities


def evidence_of(folder: str | Path) -> Evidence:
    """A complete run's test pictures, and the reference outputs that it keeps; no TensorFlow is needed for them.

    Raises `DataError` when the folder is no complete run, or its reference belongs to another model.
    """
    run = open_complete(folder)
    test = run.read_pictures()
    kept = run.read_predictions(test)
    if kept is None:
        raise DataError(f"{run.predictions} does not belong to {run.model.name} and test.npz. Train again.")
    return Evidence(test, kept)


def verify(paths: Sequence[Path], evidence: Evidence, *, max_drop: float, foreign: Foreign | None = None) -> Summary:
    """Hold existing files against the evidence, each through the shipped runtime.

    Raises `ModelError` for a file that cannot be run on the evidence's pictures, or has other labels.
    """
    results = tuple(_verify_one(path, evidence, max_drop, foreign or Foreign()) for path in paths)
    return Summary(model=", ".join(path.name for path in paths), max_drop=max_drop, results=results)


def _verify_one(path: Path, evidence: Evidence, max_drop: float, foreign: Foreign) -> Result:
    classifiers = [opened(path, foreign, num_threads=1) for _ in range(os.cpu_count() or 1)]
    contract = classifiers[0].file.contract
    recipe = contract.recipe if contract is not None else "unknown"
    found = outputs(classifiers, evidence.test)
    return judge(found, evidence, file=path.name, recipe=recipe, content=path.read_bytes(), max_drop=max_drop)


def gate(summary: Summary) -> None:
    """Raise `VerificationError` when a file of the summary was not accepted."""
    refused = ", ".join(result.file for result in summary.results if not result.accepted)
    if refused:
        raise VerificationError(f"{refused}: the drop is beyond {summary.max_drop:g} points.")


def judge(
    target: Probabilities, evidence: Evidence, *, file: str, recipe: str, content: bytes, max_drop: float
) -> Result:
    """The result for a file of this name, recipe and content, whose outputs on the test pictures are `target`."""
    found = compare(target, evidence.outputs, evidence.test)
    return Result(
        file=file,
        recipe=recipe,
        size_bytes=len(content),
        sha256=sha256(content),
        accepted=found.drop_points <= max_drop,
        verification=found,
        paired=paired.compare(target, evidence.outputs, evidence.test.classes),
    )


def outputs(classifiers: Sequence[Classifier], test: LabelledPictures) -> Probabilities:
    """A file's outputs on all test pictures, of shape (images, classes), with the columns in the test set's order.

    `classifiers` are all of one file: they share the work, a thread each, since some of LiteRT's kernels use but one.
    The same pixels go in as into Keras. Raises `ModelError` when the file takes another size or has other labels.
    """
    name, labels = classifiers[0].file.path, classifiers[0].labels
    if classifiers[0].preprocessing.input_size != test.preprocessing.input_size:
        sizes = f"{classifiers[0].preprocessing.input_size} pixels, the reference {test.preprocessing.input_size}"
        raise ModelError(f"{name} takes {sizes}. Give the file that was made from it.")
    if set(labels) != set(test.labels):
        other = sorted(set(labels) ^ set(test.labels))[0]
        raise ModelError(f"{name} and the reference have other labels (such as '{other}'). Give the right file.")
    # By name, so that a file whose labels are in another order than its outputs is found out.
    columns = [labels.index(label) for label in test.labels]
    idle = SimpleQueue[Classifier]()
    for classifier in classifiers:
        idle.put(classifier)

    def answer(start: int) -> Probabilities:
        pixels = test.preprocessing.finished(test.stored[start : start + BATCH])
        classifier = idle.get()
        try:
            return classifier.probabilities(pixels)
        finally:
            idle.put(classifier)

    found: list[Probabilities] = []
    with progress.bar("Verification", len(test)) as advance, ThreadPoolExecutor(len(classifiers)) as workers:
        for part in workers.map(answer, range(0, len(test), BATCH)):
            found.append(part)
            advance(len(part))
    return np.concatenate(found)[:, columns]


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


def markdown(summary: Summary) -> str:
    """The summary as a table for people."""
    reference = summary.results[0].verification
    lines = [
        f"# Verification of {summary.model}",
        "",
        f"{reference.images} test pictures, the same pixels for Keras and for each file. Keras: top-1 "
        f"{reference.reference_top1:.2%}, top-5 {reference.reference_top5:.2%}. "
        f"Limit: a drop of {summary.max_drop:g} points.",
        "",
        "| file | size, bytes | top-1 (95 % interval) | top-5 | drop, points (95 % interval) | p | same answers | ties "
        "| accepted |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for result in summary.results:
        found = result.verification
        low, high = found.top1_interval
        least, most = result.paired.drop_interval_points
        lines.append(
            f"| `{result.file}` | {result.size_bytes:,} | {found.top1:.2%} ({low:.2%}–{high:.2%}) | {found.top5:.2%} "
            f"| {found.drop_points:+.2f} ({least:+.2f} to {most:+.2f}) | {result.paired.p_value:.2g} "
            f"| {found.same_answers:.2%} | {found.ties} "
            f"| {'yes' if result.accepted else '**no**'} |"
        )
    resolvable = max(result.paired.resolvable_points for result in summary.results)
    lines += [
        "",
        "The drop's interval is paired (Bonett and Price 2012), p is McNemar's exact one for no drop. So many pictures "
        f"with so many flips show a drop of {resolvable:.2f} points four times out of five; smaller ones may hide.",
    ]
    return "\n".join(lines) + "\n"


def _largest_margin(target: Probabilities, reference: Probabilities) -> float:
    """How sure Keras was, at most, where the file answers differently: its answer's lead over the file's answer."""
    ours, theirs = target.argmax(axis=1), reference.argmax(axis=1)
    rows = np.arange(len(ours))
    return float((reference[rows, theirs] - reference[rows, ours]).max(initial=0.0))
