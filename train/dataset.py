"""Labelled pictures for training and test, from any source, with what was wrong with them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import cifar100, digits, folders
from edgeproof.train.config import Data

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """Training and test pictures with the same labels.

    `skipped` says by file name why a file was left out; `duplicates` lists (training, test) names of equal pictures.
    """

    train: LabelledPictures
    test: LabelledPictures
    skipped: dict[str, str]
    duplicates: tuple[tuple[str, str], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the model's outputs."""
        return self.train.labels


def load(data: Data, *, size: int, seed: int) -> Dataset:
    """Load and check the pictures for a model of `size` pixels. Raises `DataError` when they cannot be used."""
    skipped: dict[str, str] = {}
    built_in = data.source in ("digits", "cifar100") or cifar100.is_archive(Path(data.source))
    if built_in and data.test is not None:
        raise DataError(f"{data.source} has its own test pictures. Leave --test-data away.")
    if data.source == "digits":
        train, test = digits.load(chain(digits.SIZE, size, data), data.test_share, seed)
    elif built_in:
        train, test = cifar100.load(data.source, chain(cifar100.SIZE, size, data))
    else:
        train, test, skipped = folders.load(data, lambda own: chain(own, size, data), seed)
    _check(train, test, data.source)
    dataset = Dataset(train, test, skipped, _duplicates(train, test))
    _report(dataset)
    return dataset


def chain(own_size: int | None, size: int, data: Data) -> Preprocessing:
    """The resize chain: first to the size that the pictures have by nature (when below the model's), then to it."""
    natural = own_size if own_size is not None and own_size < size else None
    first = data.source_size or natural
    up = Resize(width=size, height=size)
    if first is None or first == size:
        return Preprocessing(steps=(Resize(width=size, height=size, fit=data.fit),))
    return Preprocessing(steps=(Resize(width=first, height=first, fit=data.fit), up))


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


def _duplicates(train: LabelledPictures, test: LabelledPictures) -> tuple[tuple[str, str], ...]:
    known = dict(zip(train.hashes, train.names, strict=True))
    pairs = zip(test.hashes, test.names, strict=True)
    return tuple((known[hash_], name) for hash_, name in pairs if hash_ in known)


def _report(dataset: Dataset) -> None:
    logger.info(
        "%d training and %d test pictures of %d classes",
        len(dataset.train),
        len(dataset.test),
        len(dataset.labels),
    )
    for name, reason in list(dataset.skipped.items())[:5]:
        logger.warning("left out: %s", reason if name in reason else f"{name}: {reason}")
    if len(dataset.skipped) > 5:
        logger.warning("%d files were left out in all; data.json lists them", len(dataset.skipped))
    if dataset.duplicates:
        first = dataset.duplicates[0]
        logger.warning(
            "%d test pictures also stand in the training set (first: %s = %s): the accuracy is too good by as much",
            len(dataset.duplicates),
            first[1],
            first[0],
        )
