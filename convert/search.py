"""The search of `--recipe auto`: choices in order of promise, without those that cannot win, within a budget."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeproof.convert.recipes import (
    DYNAMIC,
    FLOAT16,
    FLOAT32,
    INT8,
    INT16X8,
    NO_STEPS,
    WEIGHTS8,
    Choice,
    Goal,
    Objective,
    Steps,
)
from edgeproof.convert.trials import Trial

logger = logging.getLogger(__name__)

# How many of the worst operators are left in float, one trial each.
SPARED = (1, 2, 4, 8)
Sensitivity = Callable[[], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be tried. `cost` is its place in the known order of the objective, `choice` asked for when it is due.

    Two of one cost differ too little for a trial: once one of them is good enough, the other is not tried.
    """

    name: str
    cost: int
    choice: Callable[[], Choice]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search tried, in order, which of it is best (None where nothing is good enough), and why it ended."""

    choices: tuple[Choice, ...]
    trials: tuple[Trial, ...]
    best: int | None
    ended: str
    minutes: float

    @property
    def nearest(self) -> int:
        """The trial with the most of Keras' answers, for where none is good enough."""
        return max(range(len(self.trials)), key=lambda number: self.trials[number].same_answers)


def candidates(objective: Objective, sensitivity: Sensitivity, more: Sequence[Candidate] = ()) -> list[Candidate]:
    """What to try for an objective, in order of promise: what is likely to win first, what is slow to try late.

    `sensitivity` gives the operators of the repaired float graph by the damage that int8 does there, worst first;
    `more` come before those that leave operators in float.
    """
    plain = _candidate(Choice(INT8, NO_STEPS), 0)
    repaired = [_candidate(Choice(INT8, Steps(), each), 0) for each in ("min-max", "mse", "percentile")]
    spared = [_spared(count, number + 1, sensitivity) for number, count in enumerate(SPARED)]
    # In the order of time a picture, measured for MobileNetV2 on x86 and ARM CPUs with XNNPACK; float16 weights are
    # unpacked once, so that it computes as fast as float32 from half the file.
    if objective == "latency":
        others = (FLOAT16, 6), (FLOAT32, 6), (DYNAMIC, 7), (WEIGHTS8, 8), (INT16X8, 9)
        return [plain, *repaired, *more, *spared, *(_candidate(Choice(recipe), cost) for recipe, cost in others)]
    # A byte a weight in each of these: their files differ by some percent, which is worth no trial.
    narrow = [_candidate(Choice(recipe), 0) for recipe in (DYNAMIC, WEIGHTS8)]
    wide = [_candidate(Choice(recipe), cost) for recipe, cost in ((INT16X8, 0), (FLOAT16, 6), (FLOAT32, 7))]
    return [plain, *repaired, *more, *narrow, *spared, *wide]


def search(
    waiting: Sequence[Candidate],
    attempt: Callable[[Choice], Trial],
    goal: Goal,
    *,
    clock: Callable[[], float] = time.monotonic,
    started: float | None = None,
) -> Found:
    """Attempt candidates in order until none that is left can be better than the best so far, or the budget is spent.

    At least one is attempted. The time counts from `started` on that clock, from now unless given. None is begun
    that, as slow as the slowest so far, would end past the limit.
    """
    begin, slowest = clock() if started is None else started, 0.0
    choices: list[Choice] = []
    trials: list[Trial] = []
    best: int | None = None
    lowest: int | None = None
    ended = "every candidate was tried"
    for number, candidate in enumerate(waiting):
        if lowest is not None and candidate.cost >= lowest:
            continue
        begun = clock()
        if spent := _spent(len(trials), begun - begin + slowest, goal):
            left = sum(lowest is None or each.cost < lowest for each in waiting[number:])
            ended = f"{spent}: {left} candidates were left"
            break
        choice = candidate.choice()
        trial = attempt(choice)
        slowest = max(slowest, clock() - begun)
        choices.append(choice)
        trials.append(trial)
        if trial.accepted:
            best, lowest = len(trials) - 1, candidate.cost
            ended = f"no other candidate can be better by {goal.objective}"
    return Found(tuple(choices), tuple(trials), best, ended, (clock() - begin) / 60)


def _spent(trials: int, seconds: float, goal: Goal) -> str:
    if trials and trials >= goal.max_trials:
        return f"--max-trials {goal.max_trials} are done"
    if trials and seconds > 60 * goal.max_minutes:
        return f"--max-minutes {goal.max_minutes:g} are not enough for one more trial"
    return ""


def _candidate(choice: Choice, cost: int) -> Candidate:
    return Candidate(choice.name, cost, lambda: choice)


def _spared(count: int, cost: int, sensitivity: Sensitivity) -> Candidate:
    return Candidate(
        f"int8 repaired, {count} in float", cost, lambda: Choice(INT8, in_float=tuple(sensitivity()[:count]))
    )
