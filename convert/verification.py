"""The gate: an exported file against Keras, on the same pixels, through the runtime that ships."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np

from edgeproof.convert.paired import Paired
from edgeproof.runtime import progress
from edgeproof.runtime.accuracy import Probabilities, same_answers, ties, top_k
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.contract import Verification, digest
from edgeproof.runtime.labelled import LabelledPictures

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


def outputs(path: Path, test: LabelledPictures) -> Probabilities:
    """The file's outputs on all test pictures, of shape (images, classes), through the shipped runtime."""
    classifier = Classifier(path, num_threads=os.cpu_count() or 1)
    found: list[Probabilities] = []
    with progress.bar("Verification", len(test)) as advance:
        for pixels, _ in test.batches(BATCH):
            found.append(classifier.probabilities(pixels))
            advance(len(pixels))
    return np.concatenate(found)


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
