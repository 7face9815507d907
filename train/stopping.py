"""Being asked to stop: at once where nothing is under way, and between two steps where a state is to be saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from edgeproof.runtime.errors import Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_Handler = Callable[[int, FrameType | None], None]


class Stop:
    """Whether a signal came, and which; 0 for none."""

    def __init__(self) -> None:
        self.requested = 0

    def check(self, where: str) -> None:
        """Raise `Stopped` if a signal came; `where` says how far the training is."""
        if self.requested:
            raise Stopped(
                f"stopped {where}; all of it is saved, and the same command goes on from there", self.requested
            )

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt  # pressed again: whoever waits for the step to end has no patience left
        self.requested = self.requested or number


@contextmanager
def heeded() -> Iterator[Stop]:
    """Note signals while the block runs, and do nothing else about them; a second SIGINT interrupts as ever.

    Whoever uses it calls `check` behind the block, or a signal that came last would be lost. In threads other than the
    main one signals keep their meaning.
    """
    stop = Stop()
    with _handled(stop._heard):
        yield stop


@contextmanager
def at_once(message: str) -> Iterator[None]:
    """Raise `Stopped` with this message as soon as a signal comes while the block runs, SIGTERM as well as SIGINT."""

    def heard(number: int, frame: FrameType | None) -> None:
        raise Stopped(message, number)

    with _handled(heard):
        yield


@contextmanager
def _handled(handler: _Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(number, handler) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, other in zip(_SIGNALS, before, strict=True):
            signal.signal(number, signal.SIG_DFL if other is None else other)
