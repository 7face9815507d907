"""The one preprocessing: any picture to the uint8 RGB pixels that a model was trained on."""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgeproof.runtime.decoding import Color, Picture, open_picture, open_rgb
from edgeproof.runtime.sources import FORMATS, SUFFIXES

__all__ = ["FORMATS", "SUFFIXES", "Picture", "Pixels", "Preprocessing", "Resize", "open_rgb"]

Pixels = NDArray[np.uint8]

# A JPEG is decoded at a smaller scale where that leaves so many times the size of the first step. At 8 the pictures
# take a quarter of the time, and 5 % of an int8 model's answers change, at 32 still 2 %: see docs/results.md.
REDUCED_MARGIN = 64

Resample = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Fit = Literal["stretch", "crop"]


class Resize(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a resize chain, with Pillow's filters (antialiased when the picture gets smaller).

    `fit="stretch"` maps the whole picture to the size; `fit="crop"` keeps its aspect and cuts the middle out.
    """

    width: int
    height: int
    resample: Resample = "bilinear"
    fit: Fit = "stretch"

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"Expected a positive size, got {self.width}×{self.height}.")


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """How a picture becomes a model's input: RGB, resized in steps, rounded to uint8 after each step.

    Transparent pictures are laid on `background`. A model trained on small pictures has two steps, first
    down to what it was trained on, then up to its input.
    """

    steps: tuple[Resize, ...]
    color: Literal["RGB"] = "RGB"
    background: Color = (255, 255, 255)

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("Expected at least one resize step.")

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) after the first step: what a data set needs to keep of a picture."""
        return self.steps[0].height, self.steps[0].width

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) that the model takes."""
        return self.steps[-1].height, self.steps[-1].width

    @property
    def reduced_size(self) -> tuple[int, int]:
        """(width, height) that a large JPEG keeps at least when it is decoded at reduced scale."""
        return REDUCED_MARGIN * self.steps[0].width, REDUCED_MARGIN * self.steps[0].height

    def stored(self, picture: Picture, *, exact: bool = True) -> Pixels:
        """The picture after the first step: shape (height, width, 3), uint8. Raises `DataError`.

        Unless `exact`, large JPEGs are decoded at reduced scale, and pictures that would take more than 120 MB refused.
        """
        at_least = None if exact else self.reduced_size
        small = _resized(open_picture(picture, self.background, at_least=at_least), self.steps[0])
        return np.asarray(small if small.mode == "RGB" else small.convert("RGB"))

    def finished(self, stored: Pixels) -> Pixels:
        """Take stored pixels of shape (n, height, width, 3) through the remaining steps to the input."""
        if len(self.steps) == 1:
            return stored
        height, width = self.input_size
        finished = np.empty((len(stored), height, width, 3), np.uint8)
        for index, image in enumerate(stored):
            picture = Image.fromarray(image)
            for step in self.steps[1:]:
                picture = _resized(picture, step)
            finished[index] = np.asarray(picture)
        return finished

    def pixels(self, picture: Picture, *, exact: bool = True) -> Pixels:
        """Map a picture to the model's input: shape (height, width, 3), uint8. See `stored`."""
        return np.ascontiguousarray(self.finished(self.stored(picture, exact=exact)[np.newaxis])[0])


def _resized(picture: Image.Image, step: Resize) -> Image.Image:
    size = (step.width, step.height)
    if picture.size == size:
        return picture
    resample = Image.Resampling[step.resample.upper()]
    if step.fit == "crop":
        return ImageOps.fit(picture, size, resample)
    return picture.resize(size, resample)
