"""How good one model's answers are, on the whole and class by class: the same for Keras and for every file."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import msgspec
import numpy as np

from edgeproof.runtime import answers
from edgeproof.runtime.accuracy import Accuracy, Probabilities, calibration_error, right, ties, top1_with_ties, top_k
from edgeproof.runtime.contract import digest
from edgeproof.runtime.foreign import Foreign, opened
from edgeproof.runtime.labelled import LabelledPictures


class ClassScore(msgspec.Struct, frozen=True, kw_only=True):
    """One class: of its pictures how many are right, with Wilson's interval, and what the others are taken for most.

    `answered` is how often the class is the answer, rightly or not. `top1` is None for a class without pictures.
    """

    label: str
    images: int
    correct: int
    top1: float | None
    top1_interval: tuple[float, float]
    answered: int
    taken_for: str | None
    taken_for_times: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answers on labelled pictures. Shares are 0 to 1, intervals Wilson's of 95 %.

    `strict_top1`, `expected_top1` and `optimistic_top1` count a tie for the first place as wrong, as one chance
    among those that tie, and as right. `expected_calibration_error` is over 15 bins. `never_answered` are classes
    that have pictures and are no picture's answer.
    """

    schema: int = 1
    model: str
    images: int
    images_digest: str
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    top5_interval: tuple[float, float]
    ties: int
    strict_top1: float
    expected_top1: float
    optimistic_top1: float
    expected_calibration_error: float
    never_answered: tuple[str, ...]
    classes: tuple[ClassScore, ...]


def evaluate(outputs: Probabilities, pictures: LabelledPictures, *, model: str) -> Evaluation:
    """Judge outputs of shape (images, classes) on their pictures; `model` is the name to report."""
    first, five = (top_k(outputs, pictures.classes, k) for k in (1, 5))
    strict, expected, optimistic = top1_with_ties(outputs, pictures.classes)
    classes = class_scores(outputs, pictures)
    return Evaluation(
        model=model,
        images=len(pictures),
        images_digest=digest(pictures.hashes),
        top1=first.share,
        top1_interval=first.interval(),
        top5=five.share,
        top5_interval=five.interval(),
        ties=ties(outputs),
        strict_top1=strict,
        expected_top1=expected,
        optimistic_top1=optimistic,
        expected_calibration_error=calibration_error(outputs, pictures.classes),
        never_answered=tuple(each.label for each in classes if each.images and not each.answered),
        classes=classes,
    )


def evaluate_file(path: str | Path, pictures: LabelledPictures, *, foreign: Foreign | None = None) -> Evaluation:
    """Run a `.tflite` file on all cores and judge it. Raises `ModelError` when it does not fit the pictures."""
    file = Path(path)
    classifiers = [opened(file, foreign or Foreign(), num_threads=1) for _ in range(os.cpu_count() or 1)]
    (found,) = answers.outputs([classifiers], pictures, description="Evaluation")
    return evaluate(found, pictures, model=file.name)


def class_scores(outputs: Probabilities, pictures: LabelledPictures) -> tuple[ClassScore, ...]:
    """The score of each class, in the order of the labels."""
    labels, count = pictures.labels, len(pictures.labels)
    given = outputs.argmax(axis=1)
    correct = right(outputs, pictures.classes)
    images = np.bincount(pictures.classes, minlength=count)
    hits = np.bincount(pictures.classes[correct], minlength=count)
    answered = np.bincount(given, minlength=count)
    wrong = np.zeros((count, count), np.int64)
    np.add.at(wrong, (pictures.classes[~correct], given[~correct]), 1)
    np.fill_diagonal(wrong, 0)
    scores = []
    for i, label in enumerate(labels):
        found, most = Accuracy(int(hits[i]), int(images[i])), int(wrong[i].argmax())
        scores.append(
            ClassScore(
                label=label,
                images=found.total,
                correct=found.correct,
                top1=found.share if found.total else None,
                top1_interval=found.interval(),
                answered=int(answered[i]),
                taken_for=labels[most] if wrong[i, most] else None,
                taken_for_times=int(wrong[i, most]),
            )
        )
    return tuple(scores)


def worst(evaluation: Evaluation, count: int = 5) -> tuple[ClassScore, ...]:
    """The classes with the smallest share of right answers, worst first."""
    judged = (each for each in evaluation.classes if each.top1 is not None)
    return tuple(sorted(judged, key=lambda each: (each.top1 or 0.0, each.label))[:count])


def table(evaluation: Evaluation) -> str:
    """The classes as CSV text with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    header = ("label", "images", "correct", "top1", "top1_low", "top1_high", "answered", "taken_for", "taken_for_times")
    writer.writerow(header)
    for each in evaluation.classes:
        share = "" if each.top1 is None else f"{each.top1:.6f}"
        low, high = (f"{bound:.6f}" for bound in each.top1_interval)
        counts = (each.answered, each.taken_for or "", each.taken_for_times)
        writer.writerow((each.label, each.images, each.correct, share, low, high, *counts))
    return buffer.getvalue()
