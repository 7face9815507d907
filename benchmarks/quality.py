"""How good a file's answers are on labelled pictures, through the same `Classifier` that ships."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from edgeproof.runtime import Classifier, DataError, accuracy, progress
from edgeproof.runtime.accuracy import Accuracy, Answers
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels

BATCH = 32


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of right answers, and of pictures with `ties` for the best; `confusion` is [true][answered]."""

    images: int
    top1_correct: int
    top5_correct: int
    ties: int
    confusion: tuple[tuple[int, ...], ...]

    @property
    def top1(self) -> Accuracy:
        """How often the best answer is the true class."""
        return Accuracy(self.top1_correct, self.images)

    @property
    def top5(self) -> Accuracy:
        """How often the true class is among the five best."""
        return Accuracy(self.top5_correct, self.images)


def quality(classifier: Classifier, pictures: LabelledPictures) -> Quality:
    """Ask a model about every picture. Raises `DataError` when the data's labels are not the model's."""
    check_labels(classifier, pictures)
    confusion = np.zeros((len(classifier.labels),) * 2, np.int64)
    top1 = top5 = Accuracy(0, 0)
    ties = 0
    with progress.bar("Evaluating", len(pictures)) as advance:
        for pixels, classes in batches(classifier, pictures):
            probabilities = classifier.probabilities(pixels)
            top1 += accuracy.top_k(probabilities, classes, 1)
            top5 += accuracy.top_k(probabilities, classes, 5)
            ties += accuracy.ties(probabilities)
            np.add.at(confusion, (classes, probabilities.argmax(axis=1)), 1)
            advance(len(classes))
    return Quality(
        images=top1.total,
        top1_correct=top1.correct,
        top5_correct=top5.correct,
        ties=ties,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def batches(classifier: Classifier, pictures: LabelledPictures) -> Iterator[tuple[Pixels, Answers]]:
    """The pictures in the model's own preprocessing, whatever the data were read with, with their classes."""
    if classifier.preprocessing == pictures.preprocessing:
        yield from pictures.batches(BATCH)
        return
    for start in range(0, len(pictures), BATCH):
        stored = pictures.stored[start : start + BATCH]
        own = np.stack([classifier.preprocessing.pixels(picture) for picture in stored])
        yield own, pictures.classes[start : start + BATCH]


def check_labels(classifier: Classifier, pictures: LabelledPictures) -> None:
    """Raise `DataError`, in one line, unless model and data have the same labels in the same order."""
    ours, theirs = classifier.labels, pictures.labels
    if ours == theirs:
        return
    path = classifier.file.path
    if len(ours) != len(theirs):
        raise DataError(f"{path} knows {len(ours)} labels, the data have {len(theirs)}. Give data of the same labels.")
    place = next(i for i, (own, other) in enumerate(zip(ours, theirs, strict=True)) if own != other)
    raise DataError(
        f"{path}: label {place + 1} is '{ours[place]}', in the data it is '{theirs[place]}'. "
        "Give data of the same labels, in the same order."
    )
