"""Are a file's labels in the order of its outputs? Found from its answers beside a reference's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, gammaln

from edgeproof.runtime.accuracy import Probabilities

# Chance of naming any label wrongly of a file that has none in a wrong place.
SIGNIFICANCE = 0.001


@dataclass(frozen=True)
class Relabelling:
    """Columns in which a file's outputs fit the reference better: column i should hold what now is in `order[i]`.

    `moved` names (the label that the file gives, the one that the reference gives there), for each label moved.
    """

    order: NDArray[np.int64]
    moved: tuple[tuple[str, str], ...]

    @property
    def sentence(self) -> str:
        """Which labels stand in each other's place."""
        named = dict(self.moved)
        if len(named) == 2:
            return "its labels '{}' and '{}' are swapped".format(*named)
        listed = ", ".join(f"'{given}' is '{meant}'" for given, meant in self.moved[:3])
        more = f", and {len(named) - 3} more" if len(named) > 3 else ""
        return f"{len(named)} of its labels stand in a wrong place: what it calls {listed}{more}"


def found(target: Probabilities, reference: Probabilities, labels: tuple[str, ...]) -> Relabelling | None:
    """The labels that are in a wrong place beyond doubt, or None; outputs are of shape (images, classes).

    The assignment of columns with the most same answers (the Hungarian method) is cut into its cycles. A cycle
    counts where the sign test on the pictures that it changes is significant, corrected for all cycles of its length.
    """
    count = len(labels)
    flat = np.bincount(reference.argmax(axis=1) * count + target.argmax(axis=1), minlength=count * count)
    together = flat.reshape(count, count)
    if (together.diagonal() == together.max(axis=1)).all():
        return None  # no other order can have more answers in common
    from scipy.optimize import linear_sum_assignment  # loads slowly, and a good file never needs it

    # Of orders with as many same answers, the one that moves fewer labels.
    _, best = linear_sum_assignment(together * (count + 1) + np.eye(count, dtype=np.int64), maximize=True)
    order = np.arange(count)
    for cycle in _cycles(best):
        better, worse = (int(together[cycle, columns[cycle]].sum()) for columns in (best, np.arange(count)))
        chance = float(bdtrc(better - 1, better + worse, 0.5)) if better else 1.0
        # The best of so many orders fits well by chance alone.
        orders = gammaln(count + 1) - gammaln(count - len(cycle) + 1) - math.log(len(cycle))
        if math.log(max(chance, 5e-324)) + orders < math.log(SIGNIFICANCE):
            order[cycle] = best[cycle]
    moved = tuple((labels[order[i]], labels[i]) for i in np.flatnonzero(order != np.arange(count)))
    return Relabelling(order, moved) if moved else None


def _cycles(order: NDArray[np.int64]) -> list[list[int]]:
    """The cycles of a permutation that move something."""
    unseen, cycles = set(range(len(order))), []
    while unseen:
        cycle = [min(unseen)]
        while int(order[cycle[-1]]) != cycle[0]:
            cycle.append(int(order[cycle[-1]]))
        unseen -= set(cycle)
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles
