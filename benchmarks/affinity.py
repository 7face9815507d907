"""Binding a process to cores, so that the system does not move it while it is timed."""

from __future__ import annotations

import os
from collections.abc import Sequence


def cores_for(threads: int) -> tuple[int, ...]:
    """The cores to run `threads` threads on: the last that may be used; none where they are too few, or not told.

    The last ones, because interrupts mostly fall on the first, and on many ARM chips the last are the fast ones.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    usable = sorted(os.sched_getaffinity(0))
    return tuple(usable[-threads:]) if 0 < threads <= len(usable) else ()


def bind(cores: Sequence[int]) -> tuple[int, ...]:
    """Bind this process to cores; returns them, or nothing where the system does not allow it."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        return ()
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        return ()
    return tuple(cores)
