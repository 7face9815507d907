"""Convergence of a calibration: whether more pictures would still move the ranges of activations."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import msgspec
import numpy as np

from edgeproof.convert.ranges import Floats, Range

# A step of quantisation that is a twentieth wider costs a tensor 0.4 dB of its signal-to-noise ratio, a fifth 1.6 dB.
SETTLED = 0.05
SETTLED_ALL = 0.20


class Convergence(msgspec.Struct, frozen=True, kw_only=True):
    """Whether more pictures would still move the ranges: what each step from `images[i]` to `images[i + 1]` did.

    A tensor's movement is the greater change of its two ends, as a share of its range's later width. `movement` is
    what nine of ten tensors stay below, `largest` what all do. Not the median: in a network of ReLU6 most tensors
    reach from 0 to 6 after a few pictures, and the median stays 0 while others still grow. Not the largest alone:
    one tensor's extreme value moves it, and min-max never quite stops.
    """

    images: tuple[int, ...]
    movement: tuple[float, ...]
    largest: tuple[float, ...]
    converged: bool

    @property
    def sentence(self) -> str:
        """The last step in words, with what to do."""
        before, after = self.images[-2:]
        still, advice = ("", "more images would change little") if self.converged else ("still ", "give more images")
        return (
            f"From {before} to {after} images the ranges {still}moved by up to {self.movement[-1]:.1%} in nine of ten "
            f"tensors ({self.largest[-1]:.1%} at most): {advice}."
        ).replace("%", " %")


def doublings(images: int, *, steps: int = 3) -> tuple[int, ...]:
    """Numbers of pictures to compare ranges at, each about twice the one before, up to `images`; (1,) for one."""
    return tuple(sorted({max(1, images >> step) for step in range(steps + 1)}))


def judge(history: Mapping[int, Mapping[str, Range]]) -> Convergence:
    """Judge the ranges by tensor after growing numbers of pictures, as `Observer.range` gave them.

    Converged is a last step below `SETTLED` for nine of ten tensors and below `SETTLED_ALL` for all. Raises
    `ValueError` unless there are two numbers or more, in ascending order, with the same tensors.
    """
    images, ranges = list(history), list(history.values())
    if len(images) < 2 or images != sorted(images):
        raise ValueError(f"Expected ranges at two or more growing numbers of images, got {images}.")
    if not ranges[0] or any(each.keys() != ranges[0].keys() for each in ranges):
        raise ValueError("Expected the ranges of the same tensors after every number of images.")
    moved = [_movements(before, after) for before, after in pairwise(ranges)]
    movement = tuple(float(np.quantile(each, 0.9)) for each in moved)
    largest = tuple(float(each.max()) for each in moved)
    return Convergence(
        images=tuple(images),
        movement=movement,
        largest=largest,
        converged=movement[-1] < SETTLED and largest[-1] < SETTLED_ALL,
    )


def _movements(before: Mapping[str, Range], after: Mapping[str, Range]) -> Floats:
    old, new = (np.array([ranges[name] for name in after]) for ranges in (before, after))
    width = new[:, 1] - new[:, 0]
    moved = np.abs(new - old).max(axis=1)
    # Two ranges of no width are both (0, 0): they hold zero.
    share: Floats = np.divide(moved, width, out=(moved > 0).astype(np.float64), where=width > 0)
    return share
