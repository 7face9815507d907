"""Labelled pictures for training and test, from any source, with what was wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import LabelledPictures, decode
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import cifar100, digits, duplicates, folders, report
from edgeproof.train.config import Data
from edgeproof.train.report import Census, Report
from edgeproof.train.split import balanced_sample, stratified

# Pictures that a survey decodes, to look at and to time with.
SAMPLE = 256


@dataclass(frozen=True)
class Dataset:
    """Training and test pictures with the same labels, and what there is to know of them."""

    train: LabelledPictures
    test: LabelledPictures
    report: Report

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the model's outputs."""
        return self.train.labels

    @property
    def skipped(self) -> dict[str, str]:
        """Why a file was left out, by its name."""
        return self.report.skipped

    @property
    def duplicates(self) -> tuple[tuple[str, str], ...]:
        """(training, test) names of equal pictures."""
        return self.report.test_pictures_also_in_training


def load(
    data: Data,
    *,
    size: int,
    seed: int,
    memory: int | None = None,
    cache: Path | None = None,
    near: bool = True,
) -> Dataset:
    """Load and check the pictures for a model of `size` pixels. Raises `DataError` when they cannot be used.

    With a limit of `memory`, in bytes, and a folder `cache`, pictures that would take more than a share of it are
    decoded into files there, and read when they are wanted. Near duplicates are looked for unless told not to.
    """
    census = Census()
    built_in = _built_in(data, size, seed)
    if built_in is not None:
        train, test = built_in
        skipped: dict[str, str] = {}
    else:
        chosen = partial(chain, size=size, data=data)
        train, test, skipped = folders.load(data, chosen, seed, memory=memory, cache=cache, look=census.add)
    _check(train, test, data.source)
    alike = duplicates.near(train, test) if near else duplicates.Near()
    found = report.report(train, test, census, skipped, equal=duplicates.exact(train, test), near=alike)
    report.log(found)
    return Dataset(train, test, found)


@dataclass(frozen=True)
class Survey:
    """What a data set holds by its files' names, and a few of its training pictures decoded.

    `counts` are training pictures by class, shape (classes,); `seconds` is what a picture took to be decoded.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    test_pictures: int
    sample: LabelledPictures
    seconds: float
    from_files: bool


def survey(data: Data, *, size: int, seed: int) -> Survey:
    """Look at a data set without decoding more than a few of its pictures. Raises `DataError`."""
    built_in = _built_in(data, size, seed)
    if built_in is not None:
        train, test = built_in
        chosen = train.take(balanced_sample(train.classes, SAMPLE, seed))
        return Survey(train.labels, np.bincount(train.classes), len(test), chosen, 0.0, False)
    found = folders.find(data)
    index = {label: number for number, label in enumerate(found.labels)}
    classes = np.array([index[item.label] for item in found.train], np.int64)
    rest, held_back = (classes, found.test) if found.test else stratified(classes, data.test_share, seed)
    items = [found.train[number] for number in balanced_sample(classes, SAMPLE, seed)]
    preprocessing = chain(folders.common_size(found.archive, found.train), size, data)
    start = perf_counter()
    sample, failed = decode(found.archive, items, preprocessing, found.labels, description="A sample")
    if not len(sample):
        raise DataError(f"{data.source}: none of {len(items)} pictures can be decoded ({next(iter(failed.values()))})")
    seconds = (perf_counter() - start) / len(items)
    counts = np.bincount(classes if found.test else classes[rest], minlength=len(index))
    return Survey(found.labels, counts, len(held_back), sample, seconds, True)


def _built_in(data: Data, size: int, seed: int) -> tuple[LabelledPictures, LabelledPictures] | None:
    """Training and test pictures of a source that is no folder of the user's own; None for those."""
    known = data.source in ("digits", "cifar100") or cifar100.is_archive(Path(data.source))
    if known and data.test is not None:
        raise DataError(f"{data.source} has its own test pictures. Leave --test-data away.")
    if data.source == "digits":
        return digits.load(chain(digits.SIZE, size, data), data.test_share, seed)
    return cifar100.load(data.source, chain(cifar100.SIZE, size, data)) if known else None


def chain(own_size: int | None, size: int, data: Data) -> Preprocessing:
    """The resize chain: first to the size that the pictures have by nature (when below the model's), then to it."""
    natural = own_size if own_size is not None and own_size < size else None
    first = data.source_size or natural
    up = Resize(width=size, height=size, resample=data.resample)
    if first is None or first == size:
        return Preprocessing(steps=(replace(up, fit=data.fit),))
    return Preprocessing(steps=(replace(up, width=first, height=first, fit=data.fit), up))


def _check(train: LabelledPictures, test: LabelledPictures, source: str) -> None:
    if len(train.labels) < 2:
        found = f"one class only ('{train.labels[0]}')" if train.labels else "no classes"
        raise DataError(f"{source}: {found}. A classifier needs two or more, a folder each.")
    for pictures, part in ((train, "training"), (test, "test")):
        counts = np.bincount(pictures.classes, minlength=len(train.labels))
        empty = [label for label, count in zip(train.labels, counts, strict=True) if not count]
        if empty:
            named = ", ".join(f"'{label}'" for label in empty[:5]) + (" …" if len(empty) > 5 else "")
            raise DataError(f"{source}: no usable {part} picture of {named}. Add some, or remove the class.")
