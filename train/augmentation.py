"""What is done to training pictures at their stored size: a function of seed, view and picture, whatever the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from edgeproof.runtime.pixels import Pixels
from edgeproof.train.config import Augmentation

Generator = np.random.Generator
# One operation on a picture, at a strength from -1 to 1.
Operation = Callable[[Image.Image, float], Image.Image]


def augmented(stored: Pixels, settings: Augmentation, *, seed: int, view: int, numbers: Iterable[int]) -> Pixels:
    """One view of pictures of shape (n, height, width, 3), uint8, as a copy; `numbers` are theirs in the data set.

    The same picture looks the same in the same view, whichever others are asked for with it.
    """
    result = stored.copy()
    for place, number in enumerate(numbers):
        result[place] = _one(stored[place], settings, np.random.default_rng((seed, view, int(number))))
    return result


def _one(picture: Pixels, settings: Augmentation, generator: Generator) -> Pixels:
    if settings.flip and generator.random() < 0.5:
        picture = picture[:, ::-1]
    if settings.shift:
        picture = _shifted(picture, settings.shift, generator)
    if settings.colour:
        picture = _coloured(picture, settings.colour, generator)
    if settings.randaugment:
        picture = _randaugmented(picture, settings, generator)
    if settings.erase:
        picture = _erased(picture, settings.erase, generator)
    return picture


def _shifted(picture: Pixels, shift: float, generator: Generator) -> Pixels:
    """Moved by up to `shift` each way, a share of the side or pixels; the border is repeated."""
    height, width = picture.shape[:2]
    most = int(shift) if shift >= 1 else round(shift * min(height, width))
    down, right = generator.integers(-most, most + 1, 2)
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return np.asarray(picture[rows[:, None], columns])


def _coloured(picture: Pixels, most: float, generator: Generator) -> Pixels:
    image = Image.fromarray(np.ascontiguousarray(picture))
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(1 + generator.uniform(-most, most))
    return np.asarray(image)


def _randaugmented(picture: Pixels, settings: Augmentation, generator: Generator) -> Pixels:
    """RandAugment (Cubuk et al., arXiv:1909.13719), each operation at a random strength up to the magnitude."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    for index in generator.integers(0, len(OPERATIONS), settings.randaugment):
        image = OPERATIONS[index](image, settings.magnitude * generator.uniform(-1, 1))
    return np.asarray(image)


def _erased(picture: Pixels, most: float, generator: Generator) -> Pixels:
    """A square of up to this share of the side in the picture's mean colour (DeVries and Taylor, arXiv:1708.04552)."""
    height, width = picture.shape[:2]
    side = int(min(height, width) * most * generator.random())
    top, left = generator.integers(0, height - side + 1), generator.integers(0, width - side + 1)
    covered = picture.copy()
    covered[top : top + side, left : left + side] = picture.mean(axis=(0, 1))
    return covered


def _mean(image: Image.Image) -> tuple[int, ...]:
    """The colour of what a moved picture leaves bare."""
    return tuple(int(value) for value in np.asarray(image).mean(axis=(0, 1)))


def _bent(image: Image.Image, matrix: NDArray[np.float64]) -> Image.Image:
    """Transformed about the middle by the 2 x 2 `matrix`."""
    middle = np.array([image.width - 1, image.height - 1]) / 2
    offset = middle - matrix @ middle
    data = (*matrix[0], offset[0], *matrix[1], offset[1])
    return image.transform(image.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=_mean(image))


def _enhanced(kind: Callable[[Image.Image], Any]) -> Operation:
    return lambda image, strength: kind(image).enhance(1 + 0.9 * strength)


OPERATIONS: tuple[Operation, ...] = (
    lambda image, strength: image,
    lambda image, strength: ImageOps.autocontrast(image),
    lambda image, strength: ImageOps.equalize(image),
    lambda image, strength: ImageOps.posterize(image, 8 - round(5 * abs(strength))),
    lambda image, strength: ImageOps.solarize(image, round(256 - 160 * abs(strength))),
    _enhanced(ImageEnhance.Brightness),
    _enhanced(ImageEnhance.Contrast),
    _enhanced(ImageEnhance.Color),
    _enhanced(ImageEnhance.Sharpness),
    lambda image, strength: image.rotate(30 * strength, Image.Resampling.BILINEAR, fillcolor=_mean(image)),
    lambda image, strength: _bent(image, np.array([[1, 0.3 * strength], [0, 1]])),
    lambda image, strength: _bent(image, np.array([[1, 0], [0.3 * strength, 1]])),
    lambda image, strength: _bent(image, np.eye(2) * (1 - 0.4 * strength)),
)
