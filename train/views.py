"""What a frozen part makes of augmented pictures, computed once, kept on disk, and trained on again and again."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgeproof.runtime import progress
from edgeproof.runtime.pool import usable_cores
from edgeproof.runtime.streaming import ordered
from edgeproof.train.batches import PictureSource, Values
from edgeproof.train.frozen import Frozen
from edgeproof.train.rows import Rows

logger = logging.getLogger(__name__)

# Pictures that a core takes at once.
PART = 64
# What stays free on the disk, as a share of it.
_SPARE = 0.05


class CachedViews:
    """The outputs of a frozen part for each view of the pictures: a `Source` for what is trained behind it.

    A view is made before the first epoch that needs it, kept in `folder` while another epoch will, and the same after
    a restart, since it is a function of the seed. `dtype` is what the outputs are kept in.
    """

    def __init__(
        self, source: PictureSource, frozen: Frozen, folder: Path, *, epochs: int, dtype: DTypeLike, name: str
    ) -> None:
        self._source, self._frozen, self._folder = source, frozen, folder
        self._epochs, self._dtype, self._name = epochs, np.dtype(dtype), name
        self._views: dict[int, Rows] = {}
        # That the newest view took, augmentation included; 0 before there is one.
        self.picture_seconds = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the frozen part's output for one picture."""
        return self._frozen.shape

    def prepare(self, epoch: int) -> None:
        """Have the epoch's view ready, and drop those that no later epoch looks at. Raises `DataError`."""
        view = epoch % self._source.views
        for other in [known for known in self._views if known != view and not self._needed(known, epoch)]:
            self._views.pop(other).close(remove=True)
        if view not in self._views:
            self._views[view] = self._made(view)

    def inputs(self, epoch: int, numbers: NDArray[np.int64]) -> Values:
        """Outputs of the frozen part for these pictures in this epoch, of shape (n, …)."""
        return self._views[epoch % self._source.views][numbers]

    def close(self) -> None:
        """Remove what is kept."""
        for rows in self._views.values():
            rows.close(remove=True)
        self._views.clear()

    def _needed(self, view: int, epoch: int) -> bool:
        return any(later % self._source.views == view for later in range(epoch, self._epochs))

    def _made(self, view: int) -> Rows:
        count = len(self._source.pictures)
        rows = Rows(self._folder / f"{self._name}-{view}.rows", count, self.shape, self._dtype)
        parts = [np.arange(start, min(start + PART, count)) for start in range(0, count, PART)]

        def outputs(each: Sequence[NDArray[np.int64]]) -> list[tuple[int, NDArray[np.float32]]]:
            return [(part[0], self._frozen.outputs(self._source.inputs(view, part))) for part in each]

        title = f"{self._name}, view {view + 1} of {self._source.views}"
        started = time.monotonic()
        with progress.bar(title, count) as advance:
            for first, found in ordered(outputs, parts, workers=usable_cores(), chunk=1):
                rows.write(int(first), found)
                advance(len(found))
        self.picture_seconds = (time.monotonic() - started) / count
        return rows


def kept(views: int, epochs: int) -> int:
    """How many of so many views lie on the disk at once: one that no later epoch looks at again is removed."""
    return views if views < epochs else 1


def room_for(shape: Sequence[int], dtype: DTypeLike, outputs: int, folder: Path) -> bool:
    """Whether the disk of `folder` has room for so many outputs of a frozen part, and says so in a note where not."""
    needed = int(np.prod(shape)) * np.dtype(dtype).itemsize * outputs
    disk = shutil.disk_usage(next(parent for parent in (folder, *folder.parents) if parent.exists()))
    if needed <= disk.free - _SPARE * disk.total:
        return True
    logger.warning(
        "%s: %.1f GB free, and %.1f GB needed to keep what is frozen: it is computed in every epoch instead",
        folder,
        disk.free / 1e9,
        needed / 1e9,
    )
    return False
