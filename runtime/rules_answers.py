"""The doctor's rules about a file's answers to labelled pictures (--data). See docs/doctor.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.accuracy import Accuracy, Probabilities, ties, top_k
from edgeproof.runtime.accuracy import Answers as Classes
from edgeproof.runtime.contract import Contract
from edgeproof.runtime.findings import Rule, Seen, listed
from edgeproof.runtime.trying import LIKELY, Verdict

# Of 1,000 sound files, one is farther from its proof than this many standard errors.
DOUBT = 3.29
FEWEST = 20
TIES = 0.01


@dataclass(frozen=True)
class Sitting:
    """A file's answers: `outputs` of shape (n, classes) for pictures whose true classes are `classes`, shape (n,)."""

    labels: tuple[str, ...]
    classes: Classes
    outputs: Probabilities
    fed: str
    verdict: Verdict | None
    contract: Contract | None

    @property
    def top1(self) -> Accuracy:
        """Correct answers."""
        return top_k(self.outputs, self.classes, 1)


def _no_numbers(sitting: Sitting) -> Iterator[Seen]:
    bad = int((~np.isfinite(sitting.outputs)).any(axis=1).sum())
    if bad:
        yield Seen(f"{bad} of {len(sitting.outputs)} pictures")


def _below_proof(sitting: Sitting) -> Iterator[Seen]:
    proof = sitting.contract.verification if sitting.contract else None
    if proof is None or len(sitting.classes) < FEWEST:
        return
    most = sitting.top1.interval(DOUBT)[1]
    if most < proof.top1:
        here = f"top-1 {sitting.top1.share:.1%} on {len(sitting.classes)} pictures (at most {most:.1%})"
        yield Seen(f"{here}; the contract proves {proof.top1:.1%} on {proof.images}")


def _collapsed(sitting: Sitting) -> Iterator[Seen]:
    given = sitting.outputs.argmax(axis=1)
    if len(given) < FEWEST or len(set(sitting.classes.tolist())) < 3:
        return
    counts = np.bincount(given, minlength=len(sitting.labels))
    most = int(counts.argmax())
    share, true = counts[most] / len(given), float((sitting.classes == most).mean())
    if share > 0.5 and share > 3 * true:
        yield Seen(f"'{sitting.labels[most]}' is the answer to {share:.0%} of the pictures, and true of {true:.0%}")


def _permuted(sitting: Sitting) -> Iterator[Seen]:
    given = sitting.outputs.argmax(axis=1)
    learnt = np.zeros(len(given), bool)
    for number in set(sitting.classes.tolist()):
        # Every other picture of each class says what its answer is called; the rest say whether that holds.
        learnt[np.flatnonzero(sitting.classes == number)[::2]] = True
    other = _other_names(given[learnt], sitting.classes[learnt], len(sitting.labels))
    names, true, plain = other[given[~learnt]], sitting.classes[~learnt], given[~learnt]
    better = int(((names == true) & (plain != true)).sum())
    worse = int(((names != true) & (plain == true)).sum())
    if better + worse and (better - worse) / math.sqrt(better + worse) > DOUBT:
        moved = [n for n in range(len(other)) if other[n] != n]
        pairs = [f"'{sitting.labels[n]}' is '{sitting.labels[other[n]]}'" for n in moved]
        right, after = float((plain == true).mean()), float((names == true).mean())
        said = f"{len(pairs)} labels: {listed(pairs)}"
        yield Seen(f"{said}; top-1 {right:.1%} would be {after:.1%}", tuple(sitting.labels[n] for n in moved))


def _other_names(given: NDArray[np.int64], true: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """For each output the class that it mostly answers to, where that is not its own; each class but once."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (given, true), 1)
    names = np.arange(classes)
    clear = [n for n in range(classes) if table[n].max() >= 3 and table[n].max() > 2 * table[n, n]]
    taken: set[int] = set()
    for number in sorted(clear, key=lambda n: -int(table[n].max())):
        wanted = int(table[number].argmax())
        if wanted not in taken:
            taken.add(wanted)
            names[number] = wanted
    return names


def _other_feed(sitting: Sitting) -> Iterator[Seen]:
    verdict = sitting.verdict
    if verdict is None or verdict.trials[0].feed == sitting.fed or verdict.confidence < LIKELY:
        return
    used = next((trial for trial in verdict.trials if trial.feed == sitting.fed), None)
    best = verdict.trials[0]
    step = math.sqrt(max(best.top1 * (1 - best.top1), 0.01) / verdict.images)
    if used is not None and verdict.better_than_chance and best.top1 - used.top1 > 3 * step:
        yield Seen(f"{best.feed}: top-1 {best.top1:.1%}; as the file says ({used.feed}): {used.top1:.1%}")


def _guesses(sitting: Sitting) -> Iterator[Seen]:
    chance = 1 / len(sitting.labels)
    if len(sitting.classes) >= FEWEST and sitting.top1.interval()[0] <= chance:
        yield Seen(f"top-1 {sitting.top1.share:.1%} on {len(sitting.classes)} pictures; a guess gives {chance:.1%}")


def _tied(sitting: Sitting) -> Iterator[Seen]:
    share = ties(sitting.outputs) / max(1, len(sitting.outputs))
    if share > TIES:
        yield Seen(f"{share:.1%} of {len(sitting.outputs)} pictures have several first places")


def _no_distribution(sitting: Sitting) -> Iterator[Seen]:
    sums = sitting.outputs.sum(axis=1)
    if len(sums) and (abs(float(np.median(sums)) - 1) > 0.05 or sitting.outputs.min() < 0):
        yield Seen(f"outputs go from {sitting.outputs.min():.3g} to {sitting.outputs.max():.3g} and add up to "
                   f"{np.median(sums):.3g}")  # fmt: skip


RULES: tuple[Rule[Sitting], ...] = (
    Rule("EP701", "error", "Answers that are no numbers", "See EP501; or the input range is wrong.", _no_numbers),
    Rule(
        "EP702",
        "error",
        "Far fewer right answers than the contract proves",
        "See that these pictures are of the kind it was proved on; if they are, get the file again.",
        _below_proof,
    ),
    Rule(
        "EP703",
        "error",
        "The answers have collapsed into one class",
        "Most often the input range is wrong: try --try-ranges. Else quantisation went wrong: export again.",
        _collapsed,
    ),
    Rule(
        "EP704",
        "error",
        "Labels seem to be in another order than the outputs",
        "Compare the labels' order with the training's; other tools sort folders in other ways.",
        _permuted,
    ),
    Rule(
        "EP705",
        "error",
        "Another range or channel order gives far better answers",
        "Write the metadata for that, or put the scaling (and a swap of channels) into the graph.",
        _other_feed,
    ),
    Rule(
        "EP706",
        "error",
        "The answers are no better than guesses",
        "Try --try-ranges, and see that labels and pictures belong to this model.",
        _guesses,
    ),
    Rule("EP707", "warning", "Ties for the first place", "Export with float output: see EP408.", _tied),
    Rule("EP708", "warning", "Outputs that are no probabilities", "See EP311.", _no_distribution),
)
