"""The one preprocessing: any picture to the uint8 RGB pixels that a model was trained on."""

import io
import os
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edgeproof.runtime.errors import DataError

Pixels = NDArray[np.uint8]
Picture = str | Path | bytes | BinaryIO | Image.Image | Pixels

# A decoded picture takes 3 to 4 bytes a pixel; 100 megapixels is past any camera used with these models.
PIXEL_LIMIT = 100_000_000
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

# What Pillow's decoders and its EXIF parser were seen to raise on damaged pictures.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)

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
    background: tuple[int, int, int] = (255, 255, 255)

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

    def stored(self, picture: Picture) -> Pixels:
        """The picture after the first step: shape (height, width, 3), uint8. Raises `DataError`."""
        return np.asarray(_resized(open_rgb(picture, self.background), self.steps[0]))

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

    def pixels(self, picture: Picture) -> Pixels:
        """Map a picture to the model's input: shape (height, width, 3), uint8. Raises `DataError`."""
        return np.ascontiguousarray(self.finished(self.stored(picture)[np.newaxis])[0])


def open_rgb(picture: Picture, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Decode the first frame of a picture to 8-bit RGB, upright, with transparency laid on `background`.

    16-bit pictures are scaled, not clipped. An array must be uint8 of shape (height, width, 3).
    Raises `DataError` for what is no picture, is larger than `PIXEL_LIMIT`, or holds 32-bit floats.
    """
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"Expected uint8 of shape (height, width, 3), got {picture.dtype} {picture.shape}.")
        return Image.fromarray(picture)
    name = str(picture) if isinstance(picture, str | Path) else "The picture"
    if isinstance(picture, str | Path) and not os.path.isfile(picture):
        found = "a folder" if os.path.isdir(picture) else "no such file"
        raise DataError(f"{name}: {found}. Give the path of a picture.")
    try:
        with _warnings_silenced():
            if isinstance(picture, Image.Image):
                return _to_rgb(picture, background, name)
            source = io.BytesIO(picture) if isinstance(picture, bytes) else picture
            with Image.open(source, formats=FORMATS) as opened:
                return _to_rgb(opened, background, name)
    except _DECODER_ERRORS as error:
        reason = "not a picture in a known format" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{name}: cannot be decoded ({reason}). Give one of {', '.join(FORMATS)}.") from None


def _to_rgb(picture: Image.Image, background: tuple[int, int, int], name: str) -> Image.Image:
    if picture.width * picture.height > PIXEL_LIMIT:
        size = f"{picture.width}×{picture.height}"
        raise DataError(f"{name}: {size} pixels are more than {PIXEL_LIMIT}. Make it smaller.")
    upright = ImageOps.exif_transpose(picture)
    if upright.mode == "F":
        raise DataError(f"{name}: 32-bit float pixels have no agreed range. Save it with 8 or 16 bits a channel.")
    if upright.mode.startswith("I"):
        # Pillow opens 16-bit grey as "I;16" or "I" and would clip it to 255 on conversion.
        grey = np.clip(np.asarray(upright, np.float64), 0, 65535) / 257
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info:
        canvas = Image.new("RGBA", upright.size, (*background, 255))
        return Image.alpha_composite(canvas, upright.convert("RGBA")).convert("RGB")
    return upright.convert("RGB") if upright.mode != "RGB" else upright.copy()


def _resized(picture: Image.Image, step: Resize) -> Image.Image:
    size = (step.width, step.height)
    if picture.size == size:
        return picture
    resample = Image.Resampling[step.resample.upper()]
    if step.fit == "crop":
        return ImageOps.fit(picture, size, resample)
    return picture.resize(size, resample)


_silence = ExitStack()
_silenced = 0
_silence_lock = threading.Lock()


@contextmanager
def _warnings_silenced() -> Iterator[None]:
    """Keep Pillow's warnings (damaged EXIF, many pixels) off stderr while any thread is in the block.

    `warnings.catch_warnings` alone restores the wrong filters when threads leave it in another order.
    """
    global _silenced
    with _silence_lock:
        _silenced += 1
        if _silenced == 1:
            _silence.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    finally:
        with _silence_lock:
            _silenced -= 1
            if not _silenced:
                _silence.close()
