"""Seeded splits and samples by class."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def stratified(classes: Indices, held_back: float, seed: int) -> tuple[Indices, Indices]:
    """Split indices into (rest, held back), `held_back` of every class and at least one of each side.

    A class of one picture stays whole in the first part. Both parts are in ascending order.
    """
    generator = np.random.default_rng(seed)
    second: list[Indices] = []
    for label in np.unique(classes):
        members = generator.permutation(np.flatnonzero(classes == label))
        count = min(max(1, round(len(members) * held_back)), len(members) - 1)
        second.append(members[:count])
    chosen = np.sort(np.concatenate(second)) if second else np.array([], np.int64)
    return np.setdiff1d(np.arange(len(classes)), chosen), chosen


def balanced_sample(classes: Indices, count: int, seed: int, *, without: Collection[int] = ()) -> Indices:
    """`count` indices with as many of each class as can be, in random order; all when there are fewer.

    With fewer places than classes, the seed chooses which classes get one. Indices in `without` are passed over:
    the next of their class take their place.
    """
    generator = np.random.default_rng(seed)
    queues = [generator.permutation(np.flatnonzero(classes == label)) for label in np.unique(classes)]
    if without:
        left = [queue[~np.isin(queue, list(without))] for queue in queues]
        queues = [queue for queue in left if len(queue)]
    if count < len(queues):
        some = np.random.default_rng((seed, count)).permutation(len(queues))[:count]
        queues = [queues[number] for number in some]
    turns = [queue[turn] for turn in range(max(map(len, queues), default=0)) for queue in queues if turn < len(queue)]
    return generator.permutation(np.array(turns[:count], np.int64))
