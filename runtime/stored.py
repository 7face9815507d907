"""Where decoded pictures lie: an array in memory, or anything that reads and writes them picture by picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.pixels import Pixels

Numbers = NDArray[np.int64]


class Stored(Protocol):
    """Pictures of shape (n, height, width, 3), uint8. `stored[:]` is all of them as an array in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, height, width, 3)."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Pixels]: ...

    def __getitem__(self, which: int | slice | Sequence[int] | Numbers, /) -> Pixels: ...

    def __setitem__(self, number: int, picture: Pixels, /) -> None: ...


# Makes room for pictures of shape (n, height, width, 3), whose content may be anything.
Allocate = Callable[[tuple[int, ...]], Stored]


def in_memory(shape: tuple[int, ...]) -> Stored:
    """Room in this process's memory."""
    return np.empty(shape, np.uint8)


@dataclass(frozen=True)
class View:
    """Some of the stored pictures in an order of its own; nothing is read until it is asked for."""

    stored: Stored
    numbers: Numbers

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, height, width, 3)."""
        return (len(self.numbers), *self.stored.shape[1:])

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Pixels]:
        return (self.stored[int(number)] for number in self.numbers)

    def __getitem__(self, which: int | slice | Sequence[int] | Numbers) -> Pixels:
        if isinstance(which, int | np.integer):
            return self.stored[int(self.numbers[which])]
        return self.stored[self.numbers[which if isinstance(which, slice) else np.asarray(which, np.int64)]]

    def __setitem__(self, number: int, picture: Pixels) -> None:
        self.stored[int(self.numbers[number])] = picture


def chosen(stored: Stored, numbers: Numbers) -> Stored:
    """These pictures alone, in this order: a copy of what is in memory, and a view of what is not."""
    if isinstance(stored, np.ndarray):
        return stored[numbers]
    if isinstance(stored, View):
        return View(stored.stored, stored.numbers[numbers])
    return View(stored, numbers)
