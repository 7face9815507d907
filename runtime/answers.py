"""What model files answer to all pictures of a set: every core busy, every picture prepared once for all files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np

from edgeproof.runtime import progress
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels
from edgeproof.runtime.pool import Answering

# Pictures that a thread prepares at once: 7 MB at 96 px, whatever the size of the set.
BATCH = 256
# Pictures that go through a model of another runtime together.
PASS = 32


def outputs(
    files: Sequence[Sequence[Classifier]], pictures: LabelledPictures, *, description: str = "Verification"
) -> tuple[Probabilities, ...]:
    """Each file's outputs on all pictures, of shape (images, classes), with the columns in the pictures' order.

    For each file as many classifiers as for the others: a thread takes one of every file, since some of LiteRT's
    kernels use but one thread. A file whose contract prepares pictures in another way gets its own pixels; all
    others share what the pictures' preprocessing makes. Raises `ModelError` when a file takes another size or has
    other labels.
    """
    columns = [_columns(each[0], pictures) for each in files]
    idle = SimpleQueue[tuple[Classifier, ...]]()
    benches = list(zip(*files, strict=True))
    for bench in benches:
        idle.put(bench)

    def answer(start: int) -> list[Probabilities]:
        stored = pictures.stored[start : start + BATCH]
        shared = pictures.preprocessing.finished(stored)
        bench = idle.get()
        try:
            return [each.probabilities(_own(each, stored, shared, pictures)) for each in bench]
        finally:
            idle.put(bench)

    found = [np.empty((len(pictures), len(order)), np.float32) for order in columns]
    with (
        progress.bar(description, len(pictures) * len(files)) as advance,
        ThreadPoolExecutor(len(benches)) as workers,
    ):
        starts = range(0, len(pictures), BATCH)
        for start, parts in zip(starts, workers.map(answer, starts), strict=True):
            for number, part in enumerate(parts):
                found[number][start : start + BATCH] = part[:, columns[number]]
                advance(len(part))
    return tuple(found)


def of_one(model: Answering, pictures: LabelledPictures, description: str) -> Probabilities:
    """One model's outputs on all pictures, of shape (images, classes), where it keeps the cores busy by itself.

    The model takes what the pictures' preprocessing makes, and its outputs are in the order of the pictures' labels.
    """
    parts = []
    with progress.bar(description, len(pictures)) as advance:
        for pixels, _ in pictures.batches(PASS):
            parts.append(model.probabilities(pixels))
            advance(len(pixels))
    return np.concatenate(parts)


def _own(classifier: Classifier, stored: Pixels, shared: Pixels, pictures: LabelledPictures) -> Pixels:
    if classifier.file.contract is None or classifier.preprocessing == pictures.preprocessing:
        return shared
    return np.stack([classifier.preprocessing.pixels(picture) for picture in stored])


def _columns(classifier: Classifier, pictures: LabelledPictures) -> list[int]:
    """Where a file's outputs go. By name, so that a file whose labels are not in the order of its outputs shows."""
    name, labels = classifier.file.path, classifier.labels
    if classifier.preprocessing.input_size != pictures.preprocessing.input_size:
        sizes = f"{classifier.preprocessing.input_size} pixels, the pictures {pictures.preprocessing.input_size}"
        raise ModelError(f"{name} takes {sizes}. Give the file that was made for them.")
    if set(labels) != set(pictures.labels):
        other = sorted(set(labels) ^ set(pictures.labels))[0]
        raise ModelError(f"{name} and the pictures have other labels (such as '{other}'). Give the right file.")
    return [labels.index(label) for label in pictures.labels]
