"""Native libraries write to the process's streams from C++; results belong to stdout, notes to stderr."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()


@contextmanager
def silenced() -> Iterator[None]:
    """Send what is written to the descriptors of stdout and stderr nowhere while the block runs.

    It is the whole process's streams: keep the block short. EDGEPROOF_NATIVE_LOG=1 lets all through.
    """
    if os.environ.get("EDGEPROOF_NATIVE_LOG"):
        yield
        return
    with _lock:
        _flush()
        null, closed = _open_null()
        saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2) if descriptor not in closed}
        try:
            for descriptor in saved:
                os.dup2(null, descriptor)
            yield
        finally:
            _flush()
            for descriptor, copy in saved.items():
                os.dup2(copy, descriptor)
                os.close(copy)
            for descriptor in (null, *closed):
                os.close(descriptor)


def _open_null() -> tuple[int, list[int]]:
    """A descriptor of nowhere past the standard ones, and the standard ones that were closed and lead there too.

    A copy of stdout would otherwise take the place of a closed stderr, and be written to in its name.
    """
    closed: list[int] = []
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        closed.append(descriptor)
    return descriptor, closed


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None where the process was started with it closed
            stream.flush()
