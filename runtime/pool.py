"""Interpreters for many threads: each call borrows one, since a shared interpreter mixes up its answers."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from threading import Semaphore
from typing import Generic, Protocol, TypeVar

from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.pixels import Pixels


class Answering(Protocol):
    """What answers one call at a time."""

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (n, height, width, 3) to shape (n, classes), float32."""


Kind = TypeVar("Kind", bound=Answering)


class Pool(Generic[Kind]):
    """One model loaded as often as calls overlap, `limit` times at most; further calls wait. Safe from all threads.

    `first` is loaded already; `make` loads another. All of them are of the same bytes, so which one answers makes no
    difference.
    """

    def __init__(self, first: Kind, make: Callable[[], Kind], *, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"Expected limit >= 1, got {limit}.")
        self._make, self._free = make, Semaphore(limit)
        self._idle, self.all = deque([first]), [first]

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (n, height, width, 3) to shape (n, classes), float32."""
        with self._free:
            one = self._borrowed()
            try:
                return one.probabilities(pixels)
            finally:
                self._idle.append(one)

    def _borrowed(self) -> Kind:
        try:
            return self._idle.pop()
        except IndexError:
            one = self._make()
            self.all.append(one)
            return one


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
