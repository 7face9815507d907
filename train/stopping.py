"""SIGINT and SIGTERM during a training: heeded between two steps, when all that was done can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The training was asked to stop, and stopped with its work saved; the message says where."""


class Stop:
    """Whether a signal came."""

    def __init__(self) -> None:
        self.requested = False

    def check(self, where: str) -> None:
        """Raise `Stopped` if a signal came; `where` says how far the training is."""
        if self.requested:
            raise Stopped(f"stopped {where}; all of it is saved, and the same command goes on from there")

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt  # pressed again: whoever waits for the step to end has no patience left
        self.requested = True


@contextmanager
def heeded() -> Iterator[Stop]:
    """Note signals while the block runs, and do nothing else about them; a second SIGINT interrupts as ever.

    In threads other than the main one signals keep their meaning.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = [signal.signal(number, stop._heard) for number in _SIGNALS]
    try:
        yield stop
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
