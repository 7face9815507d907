"""Labelled pictures in folders or zip files: `<class>/*`, below `train/` and `test/` or not."""

from __future__ import annotations

import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import progress
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.pixels import SUFFIXES, Pixels, Preprocessing
from edgeproof.runtime.stored import Allocate, Stored, chosen, in_memory

WORKERS = 4
# What zipfile raises on a damaged, encrypted or exotic archive.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, KeyError, RuntimeError, ValueError, EOFError)


@dataclass(frozen=True)
class Archive:
    """A folder or a zip file, read by names relative to it. Reading is safe from several threads."""

    path: Path
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise DataError(f"{self.path}: no such file or folder. Give a folder or a zip with a folder a class.")
        if self.path.is_file() and not zipfile.is_zipfile(self.path):
            raise DataError(f"{self.path} is neither a folder nor a zip. Give one with a folder a class.")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every visible file, sorted, with / between the parts of its name."""
        if self.path.is_dir():
            files = _files(self.path)
        else:
            files = (entry.filename for entry in self._zip.infolist() if not entry.is_dir())
        return tuple(sorted(name for name in files if not _is_hidden(name)))

    def read(self, name: str) -> bytes:
        """The content of one file. Raises `DataError`."""
        try:
            if self.path.is_dir():
                return (self.path / name).read_bytes()
            with self._lock:
                return self._zip.read(name)
        except (OSError, *_ZIP_ERRORS) as error:
            raise DataError(f"{self.path}/{name}: cannot be read ({error}).") from None

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except (OSError, *_ZIP_ERRORS) as error:
            raise DataError(f"{self.path} is a damaged zip ({error}). Get the file again.") from None


@dataclass(frozen=True, slots=True)
class Item:
    """One picture: where it lies in its archive, its class name."""

    name: str
    label: str


@dataclass(frozen=True)
class LabelledPictures:
    """Decoded pictures at their stored size with their classes: what training and every measurement read.

    `stored` has shape (n, height, width, 3), uint8, after the first step of `preprocessing`; `classes` are
    indices into `labels`, shape (n,), int64; `hashes` are sha256 of each picture's stored pixels.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    classes: NDArray[np.int64]
    stored: Stored
    hashes: tuple[str, ...]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.names)

    def batches(self, size: int) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
        """Pixels of shape (n, height, width, 3) with their classes, in order; the last is partial."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield self.preprocessing.finished(self.stored[part]), self.classes[part]

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> LabelledPictures:
        """These pictures alone, in this order; they are copied only where they are in memory."""
        numbers = np.asarray(indices, np.int64)
        return LabelledPictures(
            labels=self.labels,
            names=tuple(self.names[i] for i in numbers),
            classes=self.classes[numbers],
            stored=chosen(self.stored, numbers),
            hashes=tuple(self.hashes[i] for i in numbers),
            preprocessing=self.preprocessing,
        )

    def relabelled(self, labels: tuple[str, ...]) -> LabelledPictures:
        """The same pictures with their class names in another order. Raises `ValueError` for others."""
        if sorted(labels) != sorted(self.labels):
            raise ValueError("Expected the same labels in another order.")
        moved = np.array([labels.index(label) for label in self.labels], np.int64)
        return replace(self, labels=labels, classes=moved[self.classes])


# The names that people give to the parts of a data set.
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}


def find(archive: Archive) -> dict[str, list[Item]]:
    """The pictures of each part: "train", "test" and "validation" where such folders are there, others under "".

    One folder that holds all others is passed through. Pictures are known by suffix; other files, and pictures in
    no folder, are left out.
    """
    names = [name for name in archive.names if os.path.splitext(name)[1].lower() in SUFFIXES]
    outer = _outer_folders(names)
    parts: dict[str, list[Item]] = {}
    for name in names:
        inner = _parts(name)[outer:]
        part = PARTS.get(inner[0].lower(), "") if len(inner) > 2 else ""
        if part:
            inner = inner[1:]
        if len(inner) >= 2:
            # One string for all pictures of a class, and the archive's own for the name: a million take 150 MB.
            parts.setdefault(part, []).append(Item(name, sys.intern(inner[0])))
    return parts


def judged(parts: dict[str, list[Item]]) -> list[Item]:
    """The pictures to judge a model on: those of "test", else of "validation", else of no part."""
    return parts.get("test") or parts.get("validation") or parts.get("") or []


def _outer_folders(names: Sequence[str]) -> int:
    """How many folders hold all pictures and are no part and no class: those of an archive of a folder."""
    depth = 0
    while True:
        firsts: set[str] = set()
        deep_enough = True
        for parts in map(_parts, names):
            firsts.update(parts[depth : depth + 1] if len(parts) > depth + 1 else ())
            deep_enough = deep_enough and len(parts) > depth + 2
        if len(firsts) != 1 or not deep_enough or firsts.pop().lower() in PARTS:
            return depth
        depth += 1


def decode(
    archive: Archive,
    items: Sequence[Item],
    preprocessing: Preprocessing,
    labels: Sequence[str],
    *,
    description: str = "Reading pictures",
    allocate: Allocate = in_memory,
    look: Callable[[bytes], None] | None = None,
) -> tuple[LabelledPictures, dict[str, str]]:
    """Decode pictures to their stored size on several threads, and say by name why others failed.

    `allocate` makes the room that they are put into, in memory unless given. `look` is called with the content of
    every file that was decoded, on several threads. Raises `DataError` for a picture whose class is not among `labels`.
    """
    index = {label: number for number, label in enumerate(labels)}
    _check_known(archive, items, index)
    stored = allocate((len(items), *preprocessing.stored_size, 3))
    hashes: list[str] = []
    kept: list[int] = []
    failed: dict[str, str] = {}

    def one(number: int) -> tuple[int, str, str]:
        try:
            content = archive.read(items[number].name)
            picture = preprocessing.stored(content)
        except DataError as error:
            return number, "", str(error)
        stored[number] = picture
        if look is not None:
            look(content)
        return number, sha256(picture.tobytes()), ""

    with progress.bar(description, len(items)) as advance, ThreadPoolExecutor(WORKERS) as pool:
        numbers = iter(range(len(items)))
        # In slices, so that Ctrl-C is heard and no million futures wait in line.
        while chunk := list(islice(numbers, 1024)):
            for number, hash_, reason in pool.map(one, chunk):
                if reason:
                    failed[items[number].name] = reason
                else:
                    kept.append(number)
                    hashes.append(hash_)
            advance(len(chunk))
    pictures = LabelledPictures(
        labels=tuple(labels),
        names=tuple(items[i].name for i in kept),
        classes=np.array([index[items[i].label] for i in kept], np.int64),
        stored=stored if len(kept) == len(items) else chosen(stored, np.array(kept, np.int64)),
        hashes=tuple(hashes),
        preprocessing=preprocessing,
    )
    return pictures, failed


def _check_known(archive: Archive, items: Sequence[Item], index: dict[str, int]) -> None:
    unknown = sorted({item.label for item in items} - index.keys())
    if unknown:
        raise DataError(
            f"{archive.path}: the class '{unknown[0]}' is not among the {len(index)} labels. "
            "Give a folder for each label and no other."
        )


def _files(folder: Path) -> Iterator[str]:
    """Every file below a folder, relative to it. Folders behind links are not entered."""
    for top, _, names in os.walk(folder):
        within = Path(top).relative_to(folder).as_posix()
        before = "" if within == "." else f"{within}/"
        yield from (f"{before}{name}" for name in names if os.path.isfile(f"{top}/{name}"))


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in _parts(name))


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]
