"""What a comparison of two measurements says: a decision for each metric, and the status that follows for a gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from edgeproof.benchmarks.deciding import Verdict
from edgeproof.runtime import ConfigError

SCHEMA = 1

Metric = Literal["p10", "p50", "p90", "throughput", "cold-start", "memory", "size", "top-1", "same-answers"]
METRICS: tuple[Metric, ...] = (
    *("p10", "p50", "p90", "throughput", "cold-start", "memory"),
    *("size", "top-1", "same-answers"),
)
# What must be decided unless metrics are named: tails and starts of a short run are too few to be told every time.
REQUIRED: tuple[Metric, ...] = ("p10", "p50", "memory", "size", "top-1", "same-answers")
Unit = Literal["ms", "images/s", "MiB", "bytes", "share"]
Match = Literal["name", "recipe", "being alone", "order"]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one file, old and new, both in `unit`.

    `change` and its 95 % `interval` are new against old: percent, or points for a share; None where nothing is known.
    `verdict` is about the limit; `undecided` says that a regression beyond it is neither shown nor ruled out, for the
    `reason` given where it is not the width of the interval; `required` whether that counts for the status.
    """

    file: str
    metric: Metric
    unit: Unit
    verdict: Verdict
    required: bool
    old: float | None = None
    new: float | None = None
    change: float | None = None
    interval: tuple[float, float] | None = None
    undecided: bool = False
    threads: int | None = None
    reason: str = ""

    @property
    def differs(self) -> bool:
        """Whether old and new differ at all, however little: the interval leaves out 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two files that are held against each other, and by what they were matched."""

    old: str
    new: str
    by: Match


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two reports, or two files of one. `limit_percent` is for ratios, `limit_points` for shares.

    `missing` are files of the old report that the new one lacks; `machine` says how the machines differ, "" where they
    do not; `status` is 1 for a regression, 2 where a required metric cannot be told, else 0.
    """

    old: str
    new: str
    limit_percent: float
    limit_points: float
    pairs: tuple[Pair, ...]
    decisions: tuple[Decision, ...]
    status: int
    missing: tuple[str, ...] = ()
    machine: str = ""
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA


def status(decisions: Sequence[Decision], missing: Sequence[str]) -> int:
    """1 for a regression, 2 where something required cannot be told or a file is missing, else 0."""
    if any(decision.verdict == "regression" for decision in decisions):
        return 1
    return 2 if missing or any(decision.required and decision.undecided for decision in decisions) else 0


def metrics(text: str) -> tuple[Metric, ...]:
    """The metrics named in a text such as `p50,size`. Raises `ConfigError` for an unknown one, or none."""
    named = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in named if name not in METRICS]
    if unknown or not named:
        found = f"unknown '{unknown[0]}'" if unknown else "no metric"
        raise ConfigError(f"--metrics {text}: {found}. Give some of {', '.join(METRICS)}.")
    return tuple(metric for metric in METRICS if metric in named)


def percent(text: str, option: str) -> float:
    """The number of a text such as `5%` or `0.5`. Raises `ConfigError` for anything else, and below 0."""
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1000:
        raise ConfigError(f"{option} {text}: expected a percentage of at least 0, such as 5%.")
    return value
