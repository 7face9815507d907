"""Two reports, or two files of one, metric by metric: what got worse, what did not, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from edgeproof.benchmarks import deciding, figures, matching
from edgeproof.benchmarks.comparison import METRICS, REQUIRED, Comparison, Decision, Metric, Pair, Unit, status
from edgeproof.benchmarks.deciding import Estimate
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.runtime.accuracy import Accuracy

# The deviation between two runs of the same file that the spread of their processes does not show, as a share.
APART = 0.01
IN_TURN = 0.005


@dataclass(frozen=True, slots=True)
class Terms:
    """What to decide: limits in percent of a ratio and in points of a share, and the metrics, None for all.

    Named metrics are all required; of all of them those that a short run can tell.
    """

    fail_on: float = 5.0
    max_drop: float | None = None
    metrics: tuple[Metric, ...] | None = None

    @property
    def points(self) -> float:
        """The limit for shares, in points: that for ratios unless given."""
        return self.fail_on if self.max_drop is None else self.max_drop

    @property
    def ratio(self) -> float:
        """The limit for the logarithm of a ratio; so much slower and so much faster are then equally far."""
        return math.log1p(self.fail_on / 100)

    def wanted(self, metric: Metric) -> bool:
        """Whether a metric is decided at all."""
        return metric in (METRICS if self.metrics is None else self.metrics)

    def required(self, metric: Metric) -> bool:
        """Whether not being able to tell counts."""
        return metric in (REQUIRED if self.metrics is None else self.metrics)


def compare(old: Report, new: Report, terms: Terms | None = None, *, names: tuple[str, str] = ("", "")) -> Comparison:
    """Decide about every file that both reports hold, on the same machine or, for size and answers, on any.

    `names` say where the reports came from. Raises `DataError` where no file of one is in the other.
    """
    pairs = matching.matched(old, new)
    there = {file.name for file, _, _ in pairs}
    return _compared(
        pairs,
        terms or Terms(),
        apart=True,
        names=names,
        missing=tuple(file.name for file in old.files if file.name not in there),
        machine=matching.another_machine(old.environment, new.environment),
        notes=matching.notes(old, new),
    )


def compare_files(report: Report, terms: Terms | None = None, *, name: str = "") -> Comparison:
    """Decide about each further file of one report against its first: sharper, because they were measured in turn.

    Raises `DataError` for a report of one file.
    """
    pairs = matching.in_turn(report)
    return _compared(pairs, terms or Terms(), apart=False, names=(name, name), missing=(), machine="", notes=())


def _compared(
    pairs: Sequence[matching.Matched],
    terms: Terms,
    *,
    apart: bool,
    names: tuple[str, str],
    missing: tuple[str, ...],
    machine: str,
    notes: tuple[str, ...],
) -> Comparison:
    decisions = tuple(decision for old, new, _ in pairs for decision in _file(old, new, terms, apart, machine))
    return Comparison(
        old=names[0],
        new=names[1],
        limit_percent=terms.fail_on,
        limit_points=terms.points,
        pairs=tuple(Pair(old=old.name, new=new.name, by=by) for old, new, by in pairs),
        decisions=decisions,
        status=status(decisions, missing),
        missing=missing,
        machine=machine,
        notes=notes,
    )


def _file(old: FileReport, new: FileReport, terms: Terms, apart: bool, machine: str) -> Iterator[Decision]:
    """Every decision about one file, and a refusal for each named metric that neither report knows."""
    found = [*_speed(old, new, terms, apart, machine), *_true_everywhere(old, new, terms)]
    yield from (decision for decision in found if terms.wanted(decision.metric))
    for metric in terms.metrics or ():
        if metric not in {decision.metric for decision in found}:
            unit: Unit = "share" if metric in dict(figures.SHARES) else figures.UNITS.get(metric, "ms")
            yield _refused(terms, metric, unit, new.name, "not measured")


def _speed(old: FileReport, new: FileReport, terms: Terms, apart: bool, machine: str) -> Iterator[Decision]:
    """What is true of one machine alone, for every number of threads that both were measured with."""
    after = {measurement.threads: measurement for measurement in new.measurements}
    if not any(measurement.threads in after for measurement in old.measurements):
        for metric in figures.PERCENTILES:
            yield _refused(terms, metric, "ms", new.name, "other numbers of threads")
    for before in (each for each in old.measurements if each.threads in after):
        now = after[before.threads]
        decided = partial(
            _ratio, terms, file=new.name, threads=before.threads, reason="another machine" * bool(machine)
        )
        for metric in (*figures.PERCENTILES, *figures.FIGURES):
            sides = figures.of_blocks(before, metric), figures.of_blocks(now, metric)
            if not all(sides):
                continue
            reason = "another machine" if machine else ""
            # A machine that changed during one run may have been another during the other.
            if not reason and apart and metric != "memory" and not (figures.steady(before) and figures.steady(now)):
                reason = "unsteady"
            estimate = None if reason else deciding.ratio(*sides).widened(APART if apart else IN_TURN)
            ends = figures.whole(before, metric), figures.whole(now, metric)
            yield decided(metric, estimate, sides=ends, unit=figures.UNITS.get(metric, "ms"), reason=reason)


def _true_everywhere(old: FileReport, new: FileReport, terms: Terms) -> Iterator[Decision]:
    """What is true of the files on every machine: their size, and how good their answers are."""
    exact = math.log(new.size_bytes / old.size_bytes)
    sides = float(old.size_bytes), float(new.size_bytes)
    yield _ratio(terms, "size", Estimate(exact, exact, exact), file=new.name, sides=sides, unit="bytes")
    different = figures.different_at_most(old, new)
    for metric, count in figures.SHARES:
        counted = count(old), count(new)
        if counted != (None, None):
            yield _share(terms, metric, counted, different, file=new.name)


def _refused(terms: Terms, metric: Metric, unit: Unit, file: str, reason: str) -> Decision:
    """What cannot be told for want of figures."""
    return Decision(
        file=file,
        metric=metric,
        unit=unit,
        verdict="cannot tell",
        undecided=True,
        required=terms.required(metric),
        reason=reason,
    )


def _ratio(
    terms: Terms,
    metric: Metric,
    estimate: Estimate | None,
    *,
    file: str,
    sides: tuple[float, float],
    unit: Unit,
    threads: int | None = None,
    reason: str = "",
) -> Decision:
    """Decide about a ratio from the estimate of its logarithm, None where nothing can be said."""
    known = estimate if estimate is not None and math.isfinite(estimate.low) else None
    worse = known and (known.mirrored() if metric == "throughput" else known)
    return Decision(
        file=file,
        metric=metric,
        unit=unit,
        old=sides[0],
        new=sides[1],
        change=None if known is None else 100 * math.expm1(known.value),
        interval=None if known is None else (100 * math.expm1(known.low), 100 * math.expm1(known.high)),
        verdict="cannot tell" if worse is None else deciding.verdict(worse, terms.ratio),
        undecided=worse is None or worse.low <= terms.ratio < worse.high,
        required=terms.required(metric),
        threads=threads,
        reason=reason or ("" if known else "one process alone"),
    )


def _share(
    terms: Terms,
    metric: Metric,
    counted: tuple[Accuracy | None, Accuracy | None],
    different: int | None,
    *,
    file: str,
) -> Decision:
    """Decide about a share from counts, None where one side has none."""
    old, new = counted
    estimate = worse = None
    if old is not None and new is not None:
        estimate = deciding.share_change((old.correct, old.total), (new.correct, new.total), different)
        worse = estimate.mirrored()
    return Decision(
        file=file,
        metric=metric,
        unit="share",
        old=None if old is None else old.share,
        new=None if new is None else new.share,
        change=None if estimate is None else estimate.value,
        interval=None if estimate is None else (estimate.low, estimate.high),
        verdict="cannot tell" if worse is None else deciding.verdict(worse, terms.points),
        undecided=worse is None or worse.low <= terms.points < worse.high,
        required=terms.required(metric),
        reason="" if estimate else "only one of the two was judged",
    )
