"""How much memory a training may take, and where its decoded pictures lie within that."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from math import prod
from pathlib import Path

import psutil

from edgeproof.runtime.errors import ConfigError, DataError
from edgeproof.runtime.stored import Allocate, Stored, in_memory
from edgeproof.train.rows import Rows

# What Python, TensorFlow and a small network take at their peak, which is when the network is converted; measured.
BASE_BYTES = 1_500_000_000
# The share of the limit that decoded pictures may take at most.
PICTURES_SHARE = 0.25
_UNITS = {"": 1, **{f"{letter}b": 1000 ** (n + 1) for n, letter in enumerate("kmgt")}}
_UNITS |= {f"{letter}ib": 1024 ** (n + 1) for n, letter in enumerate("kmgt")} | {"b": 1}


def parse(text: str) -> int:
    """Bytes of a size in words: `500MB`, `2 GB`, `1.5GiB`, `800000000`. Raises `ConfigError`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z]*)\s*", text)
    unit = _UNITS.get(found[2].lower()) if found else None
    size = round(float(found[1]) * unit) if found and unit else 0
    if size < 1:
        raise ConfigError(f"--memory-limit {text}: no size. Give a number with a unit, such as 500MB, 2GB or 1.5GiB.")
    return size


def default() -> int:
    """The limit where none is given: half of the machine's memory, in bytes."""
    return int(psutil.virtual_memory().total) // 2


def for_pictures(limit: int) -> int:
    """Bytes of a limit that decoded pictures may take: a quarter, and half of what TensorFlow leaves.

    Half, since pictures that are split into two parts are copied once.
    """
    return max(0, min(int(PICTURES_SHARE * limit), (limit - BASE_BYTES) // 2))


def rooms(total_bytes: int, memory: int | None, cache: Path | None) -> Callable[[str], Allocate]:
    """Where pictures of so many bytes in all are put, for each part of them by name.

    In memory where there is no limit, no cache, or where they fit into `for_pictures`; else in files of the folder
    `cache`. Raises `DataError` where the disk has no room for them.
    """
    if memory is None or cache is None or total_bytes <= for_pictures(memory):
        return lambda name: in_memory
    _check_disk(total_bytes, cache)

    def room(name: str) -> Allocate:
        def allocate(shape: tuple[int, ...]) -> Stored:
            return Rows(cache / f"{name}.rows", shape[0], shape[1:], "uint8")

        return allocate

    return room


def picture_bytes(count: int, stored_size: tuple[int, int]) -> int:
    """What so many pictures of (height, width) take, decoded."""
    return count * 3 * prod(stored_size)


def in_words(size: int) -> str:
    """Bytes for people: `2.0 GB`, `138 MB`, `12 kB`."""
    if size >= 10**9:
        return f"{size / 10**9:.1f} GB"
    return f"{size / 10**6:.0f} MB" if size >= 10**6 else f"{size / 1000:.0f} kB"


def _check_disk(size: int, cache: Path) -> None:
    place = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if size > free:
        raise DataError(
            f"{cache}: the decoded pictures take {in_words(size)} beyond the memory limit, and {in_words(free)} are "
            "free there. Give another --out, or a larger --memory-limit."
        )
