"""Any picture to 8 bits a channel, upright, on a background: the pixels that a resize chain starts from."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from edgeproof.runtime.errors import DataError
from edgeproof.runtime.sources import (
    DECODER_ERRORS,
    FORMATS,
    ORIENTATION,
    TURNED_SIDEWAYS,
    Limits,
    bytes_of,
    reading,
    refuse_beyond,
    undecodable,
)

Picture = str | Path | bytes | BinaryIO | Image.Image | NDArray[np.uint8]
Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
# 30 megapixels of a JPEG or PNG; Python and a model take 80 MB more. One's own pictures, for training, may take more.
REDUCED = Limits(memory_bytes=120_000_000, seconds=5.0)
EXACT = Limits(memory_bytes=480_000_000, seconds=None)
# Rows at a time, so that what lies between two pictures of a size takes no memory to speak of.
_STRIP_PIXELS = 2**20
_TURNS = {
    **{2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM},
    **{5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE},
    **{8: Image.Transpose.ROTATE_90},
}
# Orientations in which the stored first row becomes the last row, or the last column.
_FROM_THE_END = (3, 4, 6, 7)
_NUMBERS = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


def open_rgb(
    picture: Picture,
    background: Color = WHITE,
    *,
    at_least: tuple[int, int] | None = None,
    limits: Limits | None = None,
) -> Image.Image:
    """Decode the first frame of a picture to 8-bit RGB, upright, with transparency laid on `background`.

    Sixteen bits are scaled to eight. Of 32, floats from 0 to 1 become 0 to 255 and integers from 0 to 65535 count as
    sixteen bits; all others are stretched from their smallest to their largest value. An array must be uint8 of shape
    (height, width, 3). Where `at_least` gives a width and a height, a JPEG may be decoded smaller, down to these.
    Raises `DataError` for what is no picture, too large, or takes too long.
    """
    found = open_picture(picture, background, at_least=at_least, limits=limits)
    return found if found.mode == "RGB" else found.convert("RGB")


def open_picture(
    picture: Picture,
    background: Color = WHITE,
    *,
    at_least: tuple[int, int] | None = None,
    limits: Limits | None = None,
) -> Image.Image:
    """As `open_rgb`, but grey pictures stay grey (mode L), in a quarter of the memory."""
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"Expected uint8 of shape (height, width, 3), got {picture.dtype} {picture.shape}.")
        return Image.fromarray(picture)
    name = str(picture) if isinstance(picture, str | Path) else "The picture"
    allowed = limits or (EXACT if at_least is None else REDUCED)
    with _warnings_silenced():
        if isinstance(picture, Image.Image):
            return _given(picture, background, name, allowed)
        with reading(picture, name, allowed, at_least) as image:
            return _upright(image, background, name, allowed)


def header(content: bytes) -> tuple[str, tuple[int, int]]:
    """The format and the (width, height) that a picture file says it has; nothing is decoded. Raises `DataError`."""
    try:
        with _warnings_silenced(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.format or "", image.size
    except DECODER_ERRORS as error:
        raise undecodable(error, "The picture") from None


def _given(picture: Image.Image, background: Color, name: str, limits: Limits) -> Image.Image:
    """A picture of the caller's own, who may change it later."""
    try:
        refuse_beyond(limits, bytes_of(picture), picture.size, name)
        picture.load()
        found = _upright(picture, background, name, limits)
    except DECODER_ERRORS as error:
        raise undecodable(error, name) from None
    return found.copy() if found is picture else found


def _upright(image: Image.Image, background: Color, name: str, limits: Limits) -> Image.Image:
    orientation = image.getexif().get(ORIENTATION, 1)
    transparent = image.mode in _ALPHA or "transparency" in image.info
    if image.mode in _NUMBERS:
        refuse_beyond(limits, 2 * bytes_of(image) + 3 * image.width * image.height, image.size, name)
        grey = Image.fromarray(_scaled(image, name))
        return grey.transpose(_TURNS[orientation]) if orientation in _TURNS else grey
    if image.mode in ("L", "RGB") and not transparent and orientation not in _TURNS:
        return image
    mode = "L" if image.mode in ("1", "L") and not transparent else "RGB"
    taken = bytes_of(image) + image.width * image.height * (1 if mode == "L" else 4)
    refuse_beyond(limits, taken, image.size, name)

    # Adobe's CMYK JPEGs hold 255 minus the ink, and Pillow takes all of them for such; the marker says which do.
    plain_inks = image.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info

    def convert(strip: Image.Image) -> Image.Image:
        if plain_inks:
            return ImageChops.invert(strip).convert(mode)
        if not transparent:
            return strip.convert(mode)
        canvas = Image.new("RGBA", strip.size, (*background, 255))
        return Image.alpha_composite(canvas, strip.convert("RGBA")).convert("RGB")

    return _in_strips(image, mode, orientation, convert)


def _in_strips(
    image: Image.Image, mode: str, orientation: int, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Convert a picture and turn it upright, a few rows at a time."""
    width, height = image.size
    sideways = orientation in TURNED_SIDEWAYS
    target = Image.new(mode, (height, width) if sideways else (width, height))
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        strip = convert(image.crop((0, top, width, bottom)))
        if orientation in _TURNS:
            strip = strip.transpose(_TURNS[orientation])
        place = height - bottom if orientation in _FROM_THE_END else top
        target.paste(strip, (place, 0) if sideways else (0, place))
    return target


def _scaled(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Numbers of more than 8 bits as bytes: shape (height, width)."""
    values = np.asarray(image)
    if image.mode == "I" and _is_unsigned(image):
        # Pillow reads 32 bits without a sign as if they had one.
        values = values.view(np.uint32)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name}: it holds values that are no numbers. Save it with 8 or 16 bits a channel.")
    if image.mode == "F":
        bounds = (0.0, 1.0) if low >= 0 and high <= 1 else (float(low), float(high))
    else:
        bounds = (0.0, 65535.0) if low >= 0 and high <= 65535 else (float(low), float(high))
    grey = np.empty(values.shape, np.uint8)
    rows = max(1, _STRIP_PIXELS // max(1, image.width))
    scale = 255 / max(bounds[1] - bounds[0], 1e-300)
    for top in range(0, image.height, rows):
        part = values[top : top + rows].astype(np.float64)
        grey[top : top + rows] = np.rint((part - bounds[0]) * scale)
    return grey


def _is_unsigned(image: Image.Image) -> bool:
    """Whether integers of 32 bits have no sign: in a TIFF that does not say otherwise."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tuple(tags.get(339, (1,)))[:1] != (2,)


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
