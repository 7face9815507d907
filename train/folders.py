"""A user's own pictures: a folder or a zip with a folder a class, split or to be split."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from edgeproof.runtime import labelled
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import Archive, Item, LabelledPictures
from edgeproof.runtime.pixels import SUFFIXES, Preprocessing
from edgeproof.train import memory as memory_limit
from edgeproof.train.config import Data
from edgeproof.train.split import stratified

Loaded = tuple[LabelledPictures, LabelledPictures, dict[str, str]]
# So many pictures are looked at to see whether all have one size.
SIZE_SAMPLE = 200


@dataclass(frozen=True)
class Found:
    """The picture files of a source, not yet decoded. `test` is empty where test pictures are to be split off."""

    archive: Archive
    train: Sequence[Item]
    test_archive: Archive
    test: Sequence[Item]
    skipped: dict[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the training folders, sorted."""
        return tuple(sorted({item.label for item in self.train}))


def find(data: Data) -> Found:
    """The training and test files of a folder or zip, and why other files are left out. Raises `DataError`."""
    archive = Archive(Path(data.source))
    parts = labelled.find(archive)
    if not parts:
        raise DataError(f"{data.source}: no pictures in it. Expected <class>/*.png, or train/ and test/ of these.")
    items = parts.get("train") or parts.get("") or []
    if not items:
        raise DataError(f"{data.source} has test/ but no train/. Add the training pictures as train/<class>/*.")
    if "train" in parts and "" in parts:
        stray = parts[""][0].name
        raise DataError(f"{data.source} has pictures beside train/ (such as {stray}). Move them into train/ or test/.")
    found = Found(archive, items, archive, (), _not_pictures(archive))
    if data.test is None and not {"test", "validation"} & set(parts):
        return found
    other = Archive(Path(data.test)) if data.test is not None else archive
    test = _test_items(other, labelled.judged(labelled.find(other) if data.test is not None else parts), found.labels)
    return replace(found, test_archive=other, test=test, skipped=found.skipped | _not_pictures(other))


def load(
    data: Data,
    chain: Callable[[int | None], Preprocessing],
    seed: int,
    *,
    memory: int | None = None,
    cache: Path | None = None,
    look: Callable[[bytes], None] | None = None,
) -> Loaded:
    """Training pictures, test pictures, and why other files were left out. Raises `DataError`.

    Beyond a share of the limit `memory`, in bytes, pictures are put into files in `cache`. `look` is called with the
    content of every picture file, on several threads.
    """
    found = find(data)
    preprocessing = chain(common_size(found.archive, found.train))
    total = memory_limit.picture_bytes(len(found.train) + len(found.test), preprocessing.stored_size)
    room = memory_limit.rooms(total, memory, cache)

    def decoded(archive: Archive, items: Sequence[Item], name: str) -> tuple[LabelledPictures, dict[str, str]]:
        described = f"{name.capitalize()} pictures"
        return labelled.decode(
            archive, items, preprocessing, found.labels, description=described, allocate=room(name), look=look
        )

    if found.test:
        train, failed = decoded(found.archive, found.train, "training")
        test, failed_too = decoded(found.test_archive, found.test, "test")
        return train, test, found.skipped | failed | failed_too
    everything, failed = decoded(found.archive, found.train, "all")
    rest, held_back = stratified(everything.classes, data.test_share, seed)
    return everything.take(rest), everything.take(held_back), found.skipped | failed


def _test_items(archive: Archive, items: list[Item], labels: Sequence[str]) -> list[Item]:
    if not items:
        raise DataError(f"{archive.path}: no test pictures in it. Expected test/<class>/* or <class>/*.")
    unknown = sorted({item.label for item in items} - set(labels))
    if unknown:
        named = ", ".join(f"'{label}'" for label in unknown[:5])
        raise DataError(f"{archive.path}: test pictures of {named}, which the training pictures lack. Use the same.")
    return items


def common_size(archive: Archive, items: Sequence[Item]) -> int | None:
    """The side of the pictures where a sample of them is square and of one size."""
    sizes: set[tuple[int, int]] = set()
    for item in items[:: max(1, len(items) // SIZE_SAMPLE)]:
        try:
            with Image.open(io.BytesIO(archive.read(item.name))) as picture:
                sizes.add(picture.size)
        except (DataError, OSError, ValueError, SyntaxError):
            continue
    width, height = sizes.pop() if len(sizes) == 1 else (0, 1)
    return width if width == height else None


def _not_pictures(archive: Archive) -> dict[str, str]:
    return {
        name: "not a picture by its suffix"
        for name in archive.names
        if PurePosixPath(name).suffix.lower() not in SUFFIXES
    }
