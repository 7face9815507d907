"""Pictures that arrive in a folder, each when it is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from edgeproof.runtime import DataError
from edgeproof.runtime.pixels import SUFFIXES

SECONDS = 0.5
Stamp = tuple[int, int]


def arrivals(folder: Path, *, seconds: float = SECONDS) -> Iterator[tuple[str, str]]:
    """Yield the names of pictures that are put into a folder from now on, without end.

    A file is whole when its size and time stayed the same for `seconds`; one that changes later comes again. Raises
    `DataError` when the folder cannot be read.
    """
    known = _stamps(folder)
    waiting: dict[str, Stamp] = {}
    while True:
        time.sleep(seconds)
        found = _stamps(folder)
        whole = sorted(name for name, stamp in found.items() if waiting.get(name) == stamp)
        known = {name: stamp for name, stamp in found.items() if name in whole or known.get(name) == stamp}
        waiting = {name: stamp for name, stamp in found.items() if name not in known}
        yield from ((name, name) for name in whole)


def _stamps(folder: Path) -> dict[str, Stamp]:
    """The visible pictures of a folder with their times and sizes."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                    try:
                        status = entry.stat()
                    except FileNotFoundError:
                        continue  # it was there a moment ago
                    found[entry.path] = (status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}). Give a folder.") from None
    return found
