"""Admission: which calibration pictures are refused, because ranges taken from them would not be those of use."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.contract import sha256
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels

if TYPE_CHECKING:  # calibration checks the arrays that it loads here
    from edgeproof.convert.calibration import CalibrationSet

logger = logging.getLogger(__name__)

Size = tuple[int, int]
# So large a share of the pictures must be different ones.
DISTINCT = 0.9
# Medians of `correlations`: photographs 0.88, CIFAR-100 0.71, 8×8 digits 0.53, the same in pure black and white 0.41;
# noise 0.00, and at most 0.25 when it was made smaller, or larger by up to a factor of 6.
NOISE = 0.3
# Pictures are averaged down no further: a few pixels correlate by chance.
SMALLEST = 8
# So many test pictures tell how rough the pictures of this task are.
TEST_SAMPLE = 100
# A set whose brightest pixel stays below this share of the test set's is on another scale.
BRIGHTNESS = 0.25


def admit(calibration: CalibrationSet, *, test: LabelledPictures, size: Size, classes: int) -> None:
    """Refuse pictures that prove nothing about use. `size` is (height, width) of the input, `classes` the model's.

    Raises `DataError` for another size, no pictures, a wrong range of values, pictures of one colour, test
    pictures, repeats, random noise, and too few classes; in this order.
    """
    pictures = calibration.pictures
    stored = pictures.stored[:]
    check_array(stored, "The calibration pictures", [pictures.preprocessing.stored_size])
    if pictures.preprocessing.input_size != size:
        found, wanted = _times(pictures.preprocessing.input_size), _times(size)
        raise DataError(f"The calibration pictures are prepared for {found} pixels; the model takes {wanted}.")
    _check_values(stored, test.stored[:])
    _check_leaks(pictures, test)
    _check_repeats(pictures)
    _check_noise(stored, test.stored[:])
    _check_classes(pictures, classes)


def check_array(array: NDArray[Any], where: str, sizes: Collection[Size]) -> Pixels:
    """The array, if it is uint8 of shape (n, height, width, 3) and one of `sizes`. Raises `DataError`."""
    if array.dtype != np.uint8:
        raise DataError(
            f"{where}: {array.dtype} values{_span(array)}, not uint8 pixels from 0 to 255. {_remedy(array)}"
        )
    wanted = " or ".join(f"(n, {height}, {width}, 3)" for height, width in sizes)
    if array.ndim != 4 or array.shape[1:3] not in sizes or array.shape[3] != 3:
        raise DataError(f"{where}: an array of shape {array.shape}; {wanted} is expected, RGB. Give such pictures.")
    if not len(array):
        raise DataError(f"{where}: no pictures. Give some hundred of the training set.")
    return array


def _span(array: NDArray[Any]) -> str:
    numeric = array.size and np.issubdtype(array.dtype, np.number)
    return f" from {array.min():g} to {array.max():g}" if numeric else ""


def _remedy(array: NDArray[Any]) -> str:
    if np.issubdtype(array.dtype, np.floating) and array.size and array.min() >= -1 and array.max() <= 1:
        scaled = "x * 255" if array.min() >= 0 else "(x + 1) * 127.5"
        return f"Undo the scaling: np.rint({scaled}).astype(np.uint8)."
    return "Give the pixels as they are in the picture files."


def _check_values(stored: Pixels, test: Pixels) -> None:
    seen = np.zeros(256, bool)
    seen[stored.reshape(-1)] = True
    values = np.flatnonzero(seen).tolist()
    # 255 is what -1 becomes when floats from -1 to 1 are cut to bytes.
    if set(values) <= {0, 1} or (1 in values and set(values) <= {0, 1, 255}):
        found = ", ".join(map(str, values))
        raise DataError(
            f"The calibration pictures hold no value but {found}: scaled to 0..1 or -1..1 and then cut to integers. "
            "Give pixels from 0 to 255."
        )
    if values[-1] < BRIGHTNESS * int(test.max(initial=0)):
        raise DataError(
            f"The calibration pictures' brightest value is {values[-1]}, the test pictures' {test.max()}: another "
            "scale. Give pixels from 0 to 255."
        )
    plain = int((stored == stored[:, :1, :1]).all(axis=(1, 2, 3)).sum())
    if plain > len(stored) / 2:
        raise DataError(
            f"{plain} of {len(stored)} calibration pictures are of one colour all over. Give real pictures."
        )


def _check_leaks(pictures: LabelledPictures, test: LabelledPictures) -> None:
    known = set(_comparable(test, pictures))
    leaked = [name for name, each in zip(pictures.names, _comparable(pictures, test), strict=True) if each in known]
    if leaked:
        raise DataError(
            f"{len(leaked)} of {len(pictures)} calibration pictures are test pictures as well (first: {leaked[0]}): "
            "what sets a file's ranges cannot judge it. Give training pictures."
        )


def _comparable(pictures: LabelledPictures, other: LabelledPictures) -> tuple[str, ...]:
    """Hashes of the stored pixels, or of the input's where the two sets are stored in different ways."""
    if pictures.preprocessing == other.preprocessing:
        return pictures.hashes
    return tuple(sha256(pixels.tobytes()) for batch, _ in pictures.batches(256) for pixels in batch)


def _check_repeats(pictures: LabelledPictures) -> None:
    copies = Counter(pictures.hashes)
    if len(copies) < DISTINCT * len(pictures):
        most, times = copies.most_common(1)[0]
        raise DataError(
            f"Only {len(copies)} of {len(pictures)} calibration pictures are different ones "
            f"({pictures.names[pictures.hashes.index(most)]} comes {times} times); {DISTINCT:.0%} are needed. "
            "Remove the copies."
        )


def _check_noise(stored: Pixels, test: Pixels) -> None:
    found = _median(correlations(stored))
    usual = _median(correlations(test[:: max(1, len(test) // TEST_SAMPLE)]))
    # Where the task's own pictures are rough, as spectrograms are, half as smooth as they is no noise.
    if found < min(NOISE, usual / 2):
        raise DataError(
            f"The calibration pictures are random noise: neighbouring pixels correlate by {found:.2f} at the median, "
            f"the test pictures' by {usual:.2f}. Noise gives other activations than pictures: give training pictures."
        )


def correlations(stored: Pixels) -> NDArray[np.float64]:
    """How alike each picture's neighbouring pixels are: 1 when smooth, about 0 for noise; NaN for one colour all over.

    Pearson's correlation of pixels beside and below each other, over the channels together; at the stored size and
    averaged down by 2, 4, … to at least `SMALLEST` pixels, and the least of these counts: enlarged noise is smooth
    at its own size, but nowhere below, while photographs look alike at all scales (Field 1987, "Relations between the
    statistics of natural images and the response properties of cortical cells").
    """
    return np.array([min(_neighbours(each) for each in _scales(picture)) for picture in stored], np.float64)


def _scales(picture: Pixels) -> list[NDArray[np.float32]]:
    scales = [picture.astype(np.float32)]
    while min(scales[-1].shape[:2]) >= 2 * SMALLEST:
        height, width = (side // 2 for side in scales[-1].shape[:2])
        blocks = scales[-1][: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
        scales.append(blocks.mean(axis=(1, 3)))
    return scales


def _neighbours(picture: NDArray[np.float32]) -> float:
    centred = picture - picture.mean(dtype=np.float64)
    beside, below = (centred[:, :-1], centred[:, 1:]), (centred[:-1], centred[1:])
    products = sum(float((one * other).sum()) for one, other in (beside, below))
    squares = sum(math.sqrt(float((one**2).sum()) * float((other**2).sum())) for one, other in (beside, below))
    return products / squares if squares else math.nan


def _median(values: NDArray[np.float64]) -> float:
    """The median but for NaN; 1 when there is nothing else."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else 1.0


def _check_classes(pictures: LabelledPictures, classes: int) -> None:
    if not pictures.labels:
        logger.warning("the calibration pictures bear no labels: whether they show enough classes is not known")
        return
    present = len(set(pictures.classes.tolist()))
    possible = min(classes, len(pictures))
    wanted = min(possible, max(2, math.ceil(possible / 2)))
    if present < wanted:
        raise DataError(
            f"The {len(pictures)} calibration pictures show {present} of {classes} classes; {wanted} are needed: half "
            "of what so many can show, and two at least. Give pictures of more classes."
        )


def _times(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
