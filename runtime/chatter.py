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
        # All are looked at before any is copied: a copy takes the place of a closed one.
        saved = {descriptor: os.dup(descriptor) for descriptor in [d for d in (1, 2) if _is_open(d)]}
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            for descriptor in saved:
                os.dup2(null, descriptor)
            yield
        finally:
            _flush()
            for descriptor, copy in saved.items():
                os.dup2(copy, descriptor)
                os.close(copy)
            os.close(null)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None where the process was started with it closed
            stream.flush()
