"""Where a file's answers got worse: by class, and by the pair of classes that are taken for one another."""

from __future__ import annotations

import msgspec
import numpy as np

from edgeproof.convert.paired import holm, mcnemar_many
from edgeproof.runtime.accuracy import Answers, Probabilities, right

SIGNIFICANCE = 0.05
# So many shifted pairs are kept; the p-values are corrected for all pairs there are.
SHIFTS = 10


class ClassDrop(msgspec.Struct, frozen=True, kw_only=True):
    """One class: how many pictures each side got right, and McNemar's exact p-value, also corrected for all classes.

    `fell` says that the class lost more than it gained with a corrected p-value below 0.05.
    """

    label: str
    images: int
    reference_correct: int
    correct: int
    lost: int
    gained: int
    drop_points: float
    p_value: float
    adjusted_p_value: float
    fell: bool


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures of class `true` answered with `answered`: how many by the reference, how many by the file.

    `came` pictures get this wrong answer from the file alone, `left` from the reference alone.
    """

    true: str
    answered: str
    before: int
    after: int
    came: int
    left: int
    p_value: float
    adjusted_p_value: float
    grew: bool


def drops(
    target: Probabilities, reference: Probabilities, classes: Answers, labels: tuple[str, ...]
) -> tuple[ClassDrop, ...]:
    """The drop of every class, in the order of the labels, with p-values corrected after Holm for all classes."""
    after, before = right(target, classes), right(reference, classes)
    images, kept, had, lost, gained = (
        np.bincount(classes[chosen], minlength=len(labels))
        for chosen in (np.ones(len(classes), bool), after, before, before & ~after, after & ~before)
    )
    p_values = mcnemar_many(lost, gained)
    adjusted = holm(p_values)
    return tuple(
        ClassDrop(
            label=label,
            images=int(images[i]),
            reference_correct=int(had[i]),
            correct=int(kept[i]),
            lost=int(lost[i]),
            gained=int(gained[i]),
            drop_points=100 * int(had[i] - kept[i]) / max(1, int(images[i])),
            p_value=float(p_values[i]),
            adjusted_p_value=float(adjusted[i]),
            fell=bool(adjusted[i] < SIGNIFICANCE and lost[i] > gained[i]),
        )
        for i, label in enumerate(labels)
    )


def shifts(
    target: Probabilities, reference: Probabilities, classes: Answers, labels: tuple[str, ...]
) -> tuple[Shift, ...]:
    """The pairs (true class, wrong answer) that grew most, largest growth first, at most ten.

    The test is McNemar's exact one on the pictures of the true class that came to this answer or left it, corrected
    after Holm for all pairs of different classes.
    """
    count = len(labels)
    ours, theirs = target.argmax(axis=1), reference.argmax(axis=1)
    changed = ours != theirs
    came, left, after, before = (
        np.bincount(classes[chosen] * count + answers[chosen], minlength=count * count)
        for answers, chosen in ((ours, changed), (theirs, changed), (ours, ours >= 0), (theirs, theirs >= 0))
    )
    wrong = np.flatnonzero(~np.eye(count, dtype=bool).ravel())
    p_values = mcnemar_many(came[wrong], left[wrong])
    adjusted = holm(p_values)
    growth = (after - before)[wrong]
    worst = np.lexsort((p_values, -growth))[:SHIFTS]
    return tuple(
        Shift(
            true=labels[wrong[i] // count],
            answered=labels[wrong[i] % count],
            before=int(before[wrong[i]]),
            after=int(after[wrong[i]]),
            came=int(came[wrong[i]]),
            left=int(left[wrong[i]]),
            p_value=float(p_values[i]),
            adjusted_p_value=float(adjusted[i]),
            grew=bool(adjusted[i] < SIGNIFICANCE),
        )
        for i in worst
        if growth[i] > 0
    )


def collapsed(target: Probabilities, reference: Probabilities, labels: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that the reference answers at least once and the file never."""
    gone = set(reference.argmax(axis=1).tolist()) - set(target.argmax(axis=1).tolist())
    return tuple(labels[i] for i in sorted(gone))
