"""Arrays in a file, read row by row: what a training looks at again and again, and what need not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgeproof.runtime.errors import DataError


class Rows:
    """`count` arrays of one shape and dtype in one file without a header, each read and written on its own.

    Reads do not map the file into memory, so that a process's resident size says what it needs. Safe from several
    threads as long as no two write the same row. Raises `DataError` when the disk is full or the file is gone.
    """

    def __init__(self, path: str | Path, count: int, shape: Sequence[int], dtype: DTypeLike) -> None:
        self.path, self.shape, self.dtype = Path(path), (count, *shape), np.dtype(dtype)
        self._row = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            os.ftruncate(self._file, count * self._row)
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error.strerror}. Choose another --out.") from None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.shape[0] * self._row

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: int | slice | Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        """These rows in this order, of shape (n, …), or a single one; as an array of their own."""
        if isinstance(which, int | np.integer):
            row: NDArray[Any] = self._read(range(len(self))[which], 1)[0]
            return row
        if isinstance(which, slice):
            first, last, step = which.indices(len(self))
            if step == 1:
                return self._read(first, max(0, last - first))
            which = range(first, last, step)
        chosen = np.asarray(which)
        numbers = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        for place, number in enumerate(numbers):
            found[place] = self._read(int(number), 1)[0]
        return found

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[number] for number in range(len(self)))

    def __setitem__(self, number: int, row: NDArray[Any]) -> None:
        self.write(range(len(self))[number], row)

    def write(self, first: int, rows: NDArray[Any]) -> None:
        """Put rows of shape (n, …) at the places `first` and after."""
        content = np.ascontiguousarray(rows, self.dtype).reshape(-1).view(np.uint8).data
        done = 0
        try:
            while done < len(content):
                done += os.pwrite(self._file, content[done:], first * self._row + done)
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error.strerror}. Make room, and start again.") from None

    def close(self, *, remove: bool = False) -> None:
        """Close the file, and delete it if so wished."""
        os.close(self._file)
        if remove:
            self.path.unlink(missing_ok=True)

    def _read(self, first: int, count: int) -> NDArray[Any]:
        found = np.empty((count, *self.shape[1:]), self.dtype)
        into = found.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(into):
            got = os.preadv(self._file, [into[done:]], first * self._row + done)
            if not got:
                raise DataError(f"{self.path} is too short: it was changed while it was read. Start again.")
            done += got
        return found
