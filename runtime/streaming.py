"""Many things one after the other, worked on side by side: results in order, the first at once, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Event, Lock, Semaphore, Thread
from typing import Generic, TypeVar

# Items that are taken ahead of the answers, in chunks a worker: one that is worked on, one to go on with, one done.
AHEAD = 3
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def ordered(
    work: Callable[[Sequence[Item]], Sequence[Answer]], items: Iterable[Item], *, workers: int, chunk: int
) -> Iterator[Answer]:
    """Yield the answers of `work`, which takes up to `chunk` items at once, in the order of the items.

    A worker takes what has come by then, so no item of a slow source waits for the next; the first goes alone. Items
    are taken in a thread of their own, a bounded number ahead of the answers. What the source or `work` raises is
    raised here, in its place, and ends the stream.
    """
    if workers < 1 or chunk < 1:
        raise ValueError(f"Expected workers and chunk >= 1, got {workers} and {chunk}.")
    stream = _Stream(work, workers, chunk)
    threads = [Thread(target=stream.feed, args=(items,), daemon=True, name="edgeproof-source")]
    threads += [Thread(target=stream.answer, daemon=True, name="edgeproof-worker") for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while (part := stream.parts.get()) is not None:
            for answer in part.result():
                yield answer
                stream.room.release()
    finally:
        stream.stop()
        # Not the source, which may be waiting for a camera or a pipe.
        for thread in threads[1:]:
            thread.join()


class _Stream(Generic[Item, Answer]):
    """What the threads share. `parts` are the answers to come, in order; None is the end."""

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Answer]], workers: int, chunk: int) -> None:
        self._work, self._workers, self._chunk = work, workers, chunk
        self._items: SimpleQueue[Future[Item] | None] = SimpleQueue()
        self._taking, self._stopped, self._begun = Lock(), Event(), False
        self.parts: SimpleQueue[Future[Sequence[Answer]] | None] = SimpleQueue()
        self.room = Semaphore(AHEAD * workers * chunk)

    def feed(self, items: Iterable[Item]) -> None:
        """Take items as long as there is room for them."""
        source = iter(items)
        while not self._stopped.is_set():
            self.room.acquire()
            item: Future[Item] = Future()
            try:
                item.set_result(next(source))
            except StopIteration:
                break
            except BaseException as error:
                item.set_exception(error)
                self._items.put(item)
                break
            self._items.put(item)
        self._items.put(None)

    def answer(self) -> None:
        """Work on what has come, until the end."""
        while taken := self._take():
            items, part = taken
            if self._stopped.is_set():
                return
            try:
                part.set_result(self._work([item.result() for item in items]))
            except BaseException as error:
                part.set_exception(error)
                self.stop()

    def stop(self) -> None:
        """Let all threads come to their end."""
        self._stopped.set()
        self.room.release()
        self._items.put(None)

    def _take(self) -> tuple[list[Future[Item]], Future[Sequence[Answer]]] | None:
        """The next items, a fair share of those that wait, and the place of their answers; None at the end."""
        with self._taking:
            first = self._items.get()
            if first is None or self._stopped.is_set():
                self._items.put(None)
                self.parts.put(None)
                return None
            items, part = [first], Future[Sequence[Answer]]()
            share = min(self._chunk, -(-self._items.qsize() // self._workers)) if self._begun else 1
            self._begun = True
            while len(items) < share:
                following = self._items.get()
                if following is None:
                    self._items.put(None)
                    break
                items.append(following)
            self.parts.put(part)
            return items, part
