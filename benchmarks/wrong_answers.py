"""Pictures of the worst classes that a file labels wrongly, small enough for a page."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from edgeproof.benchmarks.confusion import worst
from edgeproof.benchmarks.quality import BATCH, batches
from edgeproof.benchmarks.report import Report
from edgeproof.benchmarks.sections import Figure, Section
from edgeproof.runtime import Classifier
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels

TILE = 96
EACH = 4
TITLE = "Pictures of the worst classes"
OWNER = "These are pictures of the test data. Make sure that you may publish them before you publish this page."


def sections(
    report: Report, classifiers: Sequence[Classifier], pictures: LabelledPictures | None
) -> tuple[Section, ...]:
    """The first four wrong answers of each of the smallest file's five worst classes, as a section where there are any.

    `classifiers` run the files of the report in its order, `pictures` are those that judged them, None for none. Only
    the pictures of the worst classes are asked again.
    """
    if pictures is None:
        return ()
    # The smallest file is the one that most likely ships.
    file, classifier = min(zip(report.files, classifiers, strict=True), key=lambda pair: pair[0].size_bytes)
    figures = tuple(found for index in worst(file) for found in _of_class(classifier, pictures, index))
    text = (
        f"Wrong answers of {file.name} in the classes where it is right least often: true class → answer, "
        "its probability."
    )
    return (Section(TITLE, (text, OWNER), figures),) if figures else ()


def _of_class(classifier: Classifier, pictures: LabelledPictures, index: int) -> Iterator[Figure]:
    own = pictures.take(np.flatnonzero(pictures.classes == index))
    shown = 0
    for start in range(0, len(own), BATCH):
        part = own.take(range(start, min(start + BATCH, len(own))))
        probabilities = np.concatenate([classifier.probabilities(pixels) for pixels, _ in batches(classifier, part)])
        for picture, answer in zip(part.stored, probabilities, strict=True):
            best = int(answer.argmax())
            if best != index and shown < EACH:
                shown += 1
                yield _figure(picture, own.labels[index], own.labels[best], float(answer[best]))


def _figure(picture: Pixels, true: str, answer: str, probability: float) -> Figure:
    sure = f"{probability * 100:.0f}\u00a0%"
    alt = f"A picture of the class {true}, answered {answer} with {sure}."
    return Figure(f"{true} → {answer}, {sure}", _tile(picture), alt, small=True)


def _tile(picture: Pixels) -> bytes:
    """A PNG of at most 96 pixels a side; small pictures keep their pixels, which the browser enlarges."""
    image = Image.fromarray(picture)
    image.thumbnail((TILE, TILE))
    packed = io.BytesIO()
    image.save(packed, "PNG")
    return packed.getvalue()
