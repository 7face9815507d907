"""What there is to know of a data set before a training: sizes, formats, balance, what was left out, duplicates."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from threading import Lock

import msgspec
import numpy as np

from edgeproof.runtime.decoding import header
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train.duplicates import Near

logger = logging.getLogger(__name__)

# The most frequent class over the least, from which on an accuracy says little of the least.
UNBALANCED = 10
# The setting to name where classes are unbalanced.
REMEDY = "--set finetune.balanced=true"
# So many sizes are kept to find the median of: a million pictures must not take memory for their report.
_SIZES = 100_000

Size = tuple[int, int]


class Sizes(msgspec.Struct, frozen=True):
    """(width, height) of the files' pictures, by their number of pixels."""

    smallest: Size
    median: Size
    largest: Size


class ClassCount(msgspec.Struct, frozen=True):
    """A class and its number of training pictures."""

    label: str
    pictures: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a run's data.json. `sizes` and `formats` are those of picture files, absent for arrays.

    `skipped` says by file name why a file was left out; duplicates are (training, test) names.
    """

    training_pictures: int
    test_pictures: int
    classes: int
    sizes: Sizes | None
    formats: dict[str, int]
    fewest: ClassCount
    most: ClassCount
    ratio: float
    skipped: dict[str, str]
    test_pictures_also_in_training: tuple[tuple[str, str], ...]
    near_duplicates: Near


class Census:
    """Counts formats and sizes of picture files as they are read, from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._formats: Counter[str] = Counter()
        self._sizes: Counter[Size] = Counter()
        self._ends: list[Size] = []

    def add(self, content: bytes) -> None:
        """Count one file by its header."""
        try:
            format_, size = header(content)
        except DataError:
            return
        with self._lock:
            self._formats[format_] += 1
            if size in self._sizes or len(self._sizes) < _SIZES:
                self._sizes[size] += 1
            else:
                self._ends = [best([*self._ends, size], key=_pixels) for best in (min, max)]

    @property
    def formats(self) -> dict[str, int]:
        """Files by format, most frequent first."""
        return dict(self._formats.most_common())

    @property
    def sizes(self) -> Sizes | None:
        """The smallest, the median and the largest size; None where no file was counted."""
        ordered = sorted(self._sizes, key=_pixels)
        if not ordered:
            return None
        places = np.cumsum([self._sizes[size] for size in ordered])
        median = ordered[int(np.searchsorted(places, (places[-1] + 1) // 2))]
        ends = sorted([ordered[0], ordered[-1], *self._ends], key=_pixels)
        return Sizes(ends[0], median, ends[-1])


def report(
    train: LabelledPictures,
    test: LabelledPictures,
    census: Census,
    skipped: dict[str, str],
    *,
    equal: Sequence[tuple[str, str]],
    near: Near,
) -> Report:
    """What there is to know of two parts, of which every class of the labels has a training picture."""
    counts = np.bincount(train.classes, minlength=len(train.labels))
    low, high = int(counts.argmin()), int(counts.argmax())
    return Report(
        training_pictures=len(train),
        test_pictures=len(test),
        classes=len(train.labels),
        sizes=census.sizes,
        formats=census.formats,
        fewest=ClassCount(train.labels[low], int(counts[low])),
        most=ClassCount(train.labels[high], int(counts[high])),
        ratio=round(float(counts[high] / counts[low]), 2),
        skipped=skipped,
        test_pictures_also_in_training=tuple(equal),
        near_duplicates=near,
    )


def log(report: Report) -> None:
    """Tell a report in notes and warnings, each on a line."""
    found = (report.training_pictures, report.test_pictures, report.classes)
    logger.info("%d training and %d test pictures of %d classes", *found)
    if report.sizes is not None:
        sizes = (f"{width}×{height}" for width, height in msgspec.structs.astuple(report.sizes))
        logger.info("sizes: smallest %s, median %s, largest %s", *sizes)
        logger.info("formats: %s", ", ".join(f"{name} {count}" for name, count in report.formats.items()))
    fewest, most = report.fewest, report.most
    if report.ratio > UNBALANCED:
        words = "classes are unbalanced: '%s' has %d training pictures, '%s' %d (%.0f : 1). Weigh them with %s."
        logger.warning(words, most.label, most.pictures, fewest.label, fewest.pictures, report.ratio, REMEDY)
    else:
        words = "training pictures a class: %d ('%s') to %d ('%s')"
        logger.info(words, fewest.pictures, fewest.label, most.pictures, most.label)
    _log_skipped(report.skipped)
    _log_duplicates(report)


def _log_skipped(skipped: dict[str, str]) -> None:
    for name, reason in list(skipped.items())[:5]:
        logger.warning("left out: %s", reason if name in reason else f"{name}: {reason}")
    if len(skipped) > 5:
        logger.warning("%d files were left out in all; data.json lists them", len(skipped))


def _log_duplicates(report: Report) -> None:
    equal, near = report.test_pictures_also_in_training, report.near_duplicates
    if equal:
        words = "%d test pictures also stand in the training set (first: %s = %s): the accuracy is too good by as much"
        logger.warning(words, len(equal), equal[0][1], equal[0][0])
    if near.pairs:
        first = "; ".join(f"{pair.test} ≈ {pair.train}" for pair in near.pairs[:3])
        words = "%d test pictures are near duplicates of training pictures (%s); data.json lists them"
        logger.warning(words, len(near.pairs), first)
    if 0 < near.compared < near.test_pictures:
        words = "near duplicates: %d of %d test pictures were looked up, more would take too long"
        logger.info(words, near.compared, near.test_pictures)


def _pixels(size: Size) -> int:
    return size[0] * size[1]
