"""Calibration: the training pictures whose activations set the integer ranges."""

from __future__ import annotations

import io
import logging
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from edgeproof.convert.admission import check_array
from edgeproof.runtime.atomic import write_text
from edgeproof.runtime.contract import Calibration, digest, sha256
from edgeproof.runtime.errors import DataError, first_line
from edgeproof.runtime.labelled import Archive, Item, LabelledPictures, decode, find
from edgeproof.runtime.pixels import Pixels, Preprocessing
from edgeproof.train.run import table
from edgeproof.train.split import balanced_sample

logger = logging.getLogger(__name__)
DEFAULT_IMAGES = 500
# The class of pictures that came without labels.
UNKNOWN = -1
# What np.load, its parser of headers, zipfile and zlib raise on what is not a whole file of plain arrays.
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class CalibrationSet:
    """The chosen pictures, the seed that chose them, and how many test pictures were passed over for it.

    Pictures without labels have the class `UNKNOWN` and empty `labels`.
    """

    pictures: LabelledPictures
    seed: int
    passed_over: int = 0

    @property
    def summary(self) -> Calibration:
        """What the exported file says of its calibration; 0 classes where they are not known."""
        return Calibration(
            images=len(self.pictures),
            classes=len(set(self.pictures.classes.tolist()) - {UNKNOWN}),
            seed=self.seed,
            digest=digest(self.pictures.hashes),
        )

    def pixels(self) -> Pixels:
        """The model's pixels, shape (n, height, width, 3), in an order that mixes the classes.

        One pixel of the first picture is black and one white, so that the input's range is 0 to 255 whatever
        the pictures, and each byte stands for itself in the exported file.
        """
        pixels = self.pictures.preprocessing.finished(self.pictures.stored[:]).copy()
        pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255
        return pixels

    def write(self, path: Path) -> None:
        """Record the chosen pictures as CSV: path, label (empty if not known), sha256 of the stored pixels."""
        chosen = self.pictures
        labels = ("" if number == UNKNOWN else chosen.labels[number] for number in chosen.classes)
        rows = list(zip(chosen.names, labels, chosen.hashes, strict=True))
        write_text(path, table(("path", "label", "sha256"), rows))


def choose(
    train: LabelledPictures, *, images: int = DEFAULT_IMAGES, seed: int = 0, exclude: Collection[str] = ()
) -> CalibrationSet:
    """A class-balanced, seeded sample of training pictures, but for those whose hash is in `exclude`: the test set's.

    Raises `DataError` when no picture is left.
    """
    if images < 1:
        raise ValueError(f"Expected images >= 1, got {images}.")
    known = frozenset(exclude)
    without = [number for number, each in enumerate(train.hashes) if each in known]
    if len(without) == len(train):
        raise DataError("Every training picture is also a test picture: none is left to calibrate with. Split again.")
    if without:
        logger.info("%d training pictures that are test pictures as well do not calibrate", len(without))
    chosen = balanced_sample(train.classes, images, seed, without=without)
    return CalibrationSet(train.take(chosen), seed, passed_over=len(without))


def load(
    path: str | Path,
    *,
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
    images: int = DEFAULT_IMAGES,
    seed: int = 0,
) -> CalibrationSet:
    """A user's own calibration pictures: a class-balanced, seeded sample of at most `images` of them.

    `path` is a folder or zip with `<class>/*` or `train/<class>/*`, a .npy file, or a .npz file with the array
    `pixels` and, if known, `labels`: a class name for each. Arrays are uint8 of shape (n, height, width, 3), at
    the size that `preprocessing` stores or that the model takes. Raises `DataError` for anything else.
    """
    place = Path(path)
    if place.is_file() and place.suffix.lower() in (".npy", ".npz"):
        pictures = _from_array(place, labels, preprocessing)
        return CalibrationSet(pictures.take(balanced_sample(pictures.classes, images, seed)), seed)
    archive = Archive(place)
    items = _training_items(archive)
    _check_names((item.label for item in items), labels, place)
    classes = np.array([labels.index(item.label) for item in items], np.int64)
    chosen = [items[number] for number in balanced_sample(classes, images, seed)]
    pictures, failed = decode(archive, chosen, preprocessing, labels, description="Calibration pictures")
    if not len(pictures):
        raise DataError(f"{place}: none of {len(chosen)} pictures can be decoded. Give other pictures.")
    for name, reason in list(failed.items())[:5]:
        logger.warning("left out: %s", reason if name in reason else f"{name}: {reason}")
    return CalibrationSet(pictures, seed)


def _training_items(archive: Archive) -> list[Item]:
    parts = find(archive)
    items = parts.get("train") or parts.get("")
    if not items:
        found = f"only {' and '.join(sorted(parts))} pictures" if parts else "no pictures"
        raise DataError(f"{archive.path}: {found} in it. Calibration takes <class>/* or train/<class>/*.")
    return items


def _from_array(path: Path, labels: tuple[str, ...], preprocessing: Preprocessing) -> LabelledPictures:
    """Pictures of an array file; without labels they have no classes, and `labels` is empty."""
    arrays = _arrays(path)
    sizes = dict.fromkeys((preprocessing.stored_size, preprocessing.input_size))
    pixels = check_array(arrays["pixels"], str(path), sizes)
    given = _names(arrays["labels"], len(pixels), path) if "labels" in arrays else []
    _check_names(given, labels, path)
    classes = [labels.index(name) for name in given] or [UNKNOWN] * len(pixels)
    as_stored = pixels.shape[1:3] == preprocessing.stored_size
    return LabelledPictures(
        labels=labels if given else (),
        names=tuple(f"{path.name}/{number:05}" for number in range(len(pixels))),
        classes=np.array(classes, np.int64),
        stored=np.ascontiguousarray(pixels),
        hashes=tuple(sha256(picture.tobytes()) for picture in pixels),
        # Pixels of the model's own size go in as they are.
        preprocessing=preprocessing if as_stored else structs.replace(preprocessing, steps=preprocessing.steps[-1:]),
    )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, a lone one as `pixels`. Never unpickles: that could run any code."""
    try:
        # From memory: np.load leaves a file that is no archive open.
        loaded = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        arrays = {"pixels": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded}
    except _DAMAGED as error:
        raise DataError(
            f"{path} is no array file that can be read ({first_line(error)}). Save plain arrays with NumPy."
        ) from None
    if "pixels" not in arrays:
        found = ", ".join(arrays) or "nothing"
        raise DataError(f"{path}: no array 'pixels' in it, but {found}. Save it with np.savez(path, pixels=…).")
    return arrays


def _names(array: NDArray[Any], count: int, path: Path) -> list[str]:
    if array.dtype.kind != "U" or array.shape != (count,):
        found = f"{array.dtype} of shape {array.shape}"
        raise DataError(f"{path}: its labels are {found}. Give a class name for each of the {count} pictures.")
    return [str(name) for name in array]


def _check_names(given: Iterable[str], labels: tuple[str, ...], path: Path) -> None:
    unknown = sorted(set(given) - set(labels))
    if unknown:
        raise DataError(f"{path}: its class '{unknown[0]}' is not among the model's labels. Give matching pictures.")
