"""Opens a picture and reads its header: what it is, how large it will get, and whether it may be decoded at all."""

from __future__ import annotations

import io
import os
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from edgeproof.runtime.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
PIXEL_LIMIT = 100_000_000
# What WebP and TIFF decoders are given is read as a whole.
FILE_LIMIT = 64_000_000
# Pixels of a JPEG times how often it goes over them: real ones do so ten times at most, and one that does so a
# thousand times would take minutes.
SCANS_LIMIT = 600_000_000
# How much of a side may be added to it by decoding at a smaller scale.
SEAM = 0.001
# Of pictures whose decoder in Pillow is written in Python: PPM in letters or of few levels, and run lengths in BMP.
SLOW_PIXEL_LIMIT = 1_000_000
ORIENTATION = 0x112
TURNED_SIDEWAYS = (5, 6, 7, 8)

# What Pillow's decoders and its EXIF parser were seen to raise on damaged pictures.
DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, AttributeError),
    *(struct.error, MemoryError, NotImplementedError, RecursionError, Image.DecompressionBombError),
)
# Bytes a pixel: of a mode in memory, 4 for all others; and of what WebP's decoder needs, measured.
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_WEBP_BYTES = 18
_SLOW_DECODERS = ("ppm", "ppm_plain", "bmp_rle")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may take at once, in bytes, and how long, in seconds of the processor's time (None: for ever)."""

    memory_bytes: int
    seconds: float | None


@contextmanager
def reading(
    picture: str | Path | bytes | BinaryIO, name: str, limits: Limits, at_least: tuple[int, int] | None
) -> Iterator[Image.Image]:
    """A loaded picture. Raises `DataError`, also for what is raised while the block looks at the picture.

    A JPEG is decoded at a half, a quarter or an eighth where that leaves width and height of `at_least`, as it will
    be when it stands upright.
    """
    try:
        with ExitStack() as closing:
            source = closing.enter_context(_Source(picture, name, limits))
            source.refuse_large_webp()
            opened: Any = source
            image = closing.enter_context(Image.open(opened, formats=FORMATS))
            size, scans, kept = image.size, 1, 0
            if image.format in ("JPEG", "MPO"):
                scans = source.scans()
                kept = _coefficients(image, scans)
                if at_least is not None:
                    orientation = image.getexif().get(ORIENTATION, 1)
                    smallest = at_least[::-1] if orientation in TURNED_SIDEWAYS else at_least
                    # Turning a picture or its colours makes another one.
                    times = 1 if orientation == 1 and image.mode in ("L", "RGB") else 2
                    _reduce(image, smallest, times, limits.memory_bytes - kept)
            _refuse_large(image, size, scans, kept, name, limits)
            image.load()
            yield image
    except TimeoutError:
        raise DataError(f"{name}: takes longer than {limits.seconds:g} s to decode. Leave it out.") from None
    except DECODER_ERRORS as error:
        raise undecodable(error, name) from None


def undecodable(error: Exception, name: str) -> DataError:
    """What to say of a picture on which a decoder gave up."""
    reason = "not a picture in a known format" if isinstance(error, UnidentifiedImageError) else error
    return DataError(f"{name}: cannot be decoded ({reason}). Give one of {', '.join(FORMATS)}.")


def refuse_beyond(limits: Limits, taken: int, size: tuple[int, int], name: str) -> None:
    """Raise `DataError` where a picture of a size would take more bytes than it may."""
    if taken > limits.memory_bytes:
        found = f"{size[0]}×{size[1]} pixels would take {taken // 10**6} MB"
        raise DataError(f"{name}: {found}, more than {limits.memory_bytes // 10**6}. Make it smaller.")


def bytes_of(image: Image.Image) -> int:
    """What the pixels of a loaded picture take in memory."""
    return image.width * image.height * _BYTES.get(image.mode, 4)


class _Source:
    """The bytes of a picture for Pillow to read, which it does bit by bit: each time the clock is looked at."""

    def __init__(self, picture: str | Path | bytes | BinaryIO, name: str, limits: Limits) -> None:
        self._name, self._limits, self._owned = name, limits, isinstance(picture, str | Path | bytes)
        self._deadline = None if limits.seconds is None else time.thread_time() + limits.seconds
        if isinstance(picture, str | Path):
            self._file = _opened(Path(picture), name)
        elif isinstance(picture, bytes):
            self._file = io.BytesIO(picture)
        elif picture.seekable():
            self._file = picture
        else:
            self._file = io.BytesIO(picture.read(FILE_LIMIT + 1))

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._owned:
            self._file.close()

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes. Raises `TimeoutError` past the deadline."""
        if self._deadline is not None and time.thread_time() > self._deadline:
            raise TimeoutError
        if size >= 0:
            return self._file.read(size)
        content = self._file.read(FILE_LIMIT + 1)
        if len(content) > FILE_LIMIT:
            raise DataError(f"{self._name}: its file is larger than {FILE_LIMIT // 10**6} MB. Make it smaller.")
        return content

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place of the next byte."""
        return self._file.tell()

    def flush(self) -> None:
        """Nothing; Pillow asks for it."""

    def close(self) -> None:
        """Nothing; what was opened here is closed at the end."""

    def refuse_large_webp(self) -> None:
        """Raise `DataError` for a WebP whose canvas, which Pillow makes before it tells the size, is too large."""
        self.seek(0)
        head = self.read(30)
        self.seek(0)
        if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
            return
        if head[12:16] == b"VP8X":
            size = 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        elif head[12:16] == b"VP8L":
            packed = int.from_bytes(head[21:25], "little")
            size = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        else:
            size = int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
        refuse_beyond(self._limits, _WEBP_BYTES * size[0] * size[1], size, self._name)

    def scans(self) -> int:
        """How often a JPEG goes over its pixels: its marks for the start of a scan, those of thumbnails too."""
        place, found, last = self.tell(), 0, b""
        self.seek(0)
        while block := self.read(2**20):
            found += (last + block).count(b"\xff\xda")
            last = block[-1:]
        self.seek(place)
        return found


def _opened(path: Path, name: str) -> BinaryIO:
    """A regular file, opened without waiting. Raises `DataError` for a folder, a pipe or a device."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            found = "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder"
            raise DataError(f"{name}: {found}. Give the path of a picture.")
        # Should it have become a pipe since, not even opening it must wait.
        return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")
    except FileNotFoundError:
        raise DataError(f"{name}: no such file. Give the path of a picture.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{name}: cannot be read ({reason}). Give the path of a picture.") from None


def _coefficients(image: Image.Image, scans: int) -> int:
    """The bytes that a JPEG's decoder keeps until the last of several scans: two for every number of every block."""
    layers = [horizontal * vertical for _, horizontal, vertical, _ in getattr(image, "layer", ())]
    return 2 * image.width * image.height * sum(layers) // max(layers, default=1) if scans > 1 else 0


def _reduce(image: Image.Image, at_least: tuple[int, int], times: int, memory_bytes: int) -> None:
    """Have a JPEG decoded at the smallest scale that keeps to a size and to the picture's edges, or that fits."""
    width, height = image.size
    for scale in (8, 4, 2):
        small = -(-width // scale), -(-height // scale)
        # What is rounded up shows as a seam, and stretches the picture.
        added = max(scale * small[0] / width, scale * small[1] / height) - 1
        if small[0] >= at_least[0] and small[1] >= at_least[1] and added < SEAM:
            # Pillow takes the smallest scale that is not below the size that it is given.
            image.draft(None, (width // scale, height // scale))
            return
    # Rather smaller than refused.
    fitting = (scale for scale in (1, 2, 4, 8) if times * bytes_of(image) <= memory_bytes * scale**2)
    if (scale := next(fitting, 1)) > 1:
        image.draft(None, (width // scale, height // scale))


def _refuse_large(image: Image.Image, size: tuple[int, int], scans: int, kept: int, name: str, limits: Limits) -> None:
    """Raise `DataError` for what would take too much memory or time, before anything is decoded.

    `size` is that of the header; the picture's own is smaller where it is decoded at a smaller scale.
    """
    pixels, taken = size[0] * size[1], bytes_of(image)
    if pixels > PIXEL_LIMIT:
        raise DataError(f"{name}: {size[0]}×{size[1]} pixels are more than {PIXEL_LIMIT}. Make it smaller.")
    if image.format == "TIFF":
        # Libtiff decodes into strips of its own, and Pillow turns the picture.
        taken *= 2
    if image.format == "WEBP":
        taken = _WEBP_BYTES * pixels
    taken += kept
    if pixels > SLOW_PIXEL_LIMIT and any(each[0] in _SLOW_DECODERS for each in getattr(image, "tile", ())):
        raise DataError(f"{name}: {size[0]}×{size[1]} pixels in a rare form that takes long to decode. Save it anew.")
    if scans * pixels > SCANS_LIMIT:
        raise DataError(f"{name}: a JPEG of {size[0]}×{size[1]} pixels with {scans} scans. Save it anew.")
    refuse_beyond(limits, taken, size, name)
