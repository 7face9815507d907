"""A user's own pictures: a folder or a zip with a folder a class, split or to be split."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from edgeproof.runtime import labelled
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import Archive, Item, LabelledPictures
from edgeproof.runtime.pixels import SUFFIXES, Preprocessing
from edgeproof.train.config import Data
from edgeproof.train.split import stratified

Loaded = tuple[LabelledPictures, LabelledPictures, dict[str, str]]
# So many pictures are looked at to see whether all have one size.
SIZE_SAMPLE = 200


def load(data: Data, chain: Callable[[int | None], Preprocessing], seed: int) -> Loaded:
    """Training pictures, test pictures, and why other files were left out. Raises `DataError`."""
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
    labels = tuple(sorted({item.label for item in items}))
    preprocessing = chain(common_size(archive, items))
    skipped = _not_pictures(archive)
    if data.test is not None or {"test", "validation"} & set(parts):
        other = Archive(Path(data.test)) if data.test is not None else archive
        test_items = _test_items(other, labels)
        skipped |= _not_pictures(other)
        train, failed = labelled.decode(archive, items, preprocessing, labels, description="Training pictures")
        test, failed_too = labelled.decode(other, test_items, preprocessing, labels, description="Test pictures")
        return train, test, skipped | failed | failed_too
    everything, failed = labelled.decode(archive, items, preprocessing, labels)
    rest, held_back = stratified(everything.classes, data.test_share, seed)
    return everything.take(rest), everything.take(held_back), skipped | failed


def _test_items(archive: Archive, labels: Sequence[str]) -> list[Item]:
    items = labelled.judged(labelled.find(archive))
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
