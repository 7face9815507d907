"""A comparison for people: its decisions as tables and sentences, and as Markdown for the log of a CI run."""

from __future__ import annotations

from edgeproof.benchmarks import markdown as markdowns
from edgeproof.benchmarks.comparison import Comparison, Decision
from edgeproof.benchmarks.sections import Table
from edgeproof.benchmarks.tables import NONE, mb, threads, three_digits

HEADER = ("Metric", "Threads", "Old", "New", "Change [95 %]", "Decision")
HEADINGS = ("No regression", "Regression", "Cannot tell")
LONGER = "What cannot be told: measure longer on an idle machine."
TOGETHER = (
    ", or both files in one run, whose blocks take turns (`edgeproof benchmark OLD.tflite NEW.tflite`, then `compare` "
    "with its report alone)."
)
NAMES = {
    "cold-start": "cold start",
    "memory": "peak memory",
    "same-answers": "same as Keras",
}


def tables(comparison: Comparison) -> tuple[Table, ...]:
    """A table for each pair of files; the caption names them."""
    found = []
    for pair in comparison.pairs:
        caption = pair.new if pair.by == "name" else f"{pair.old} → {pair.new}, matched by {pair.by}"
        rows = tuple(row(decision) for decision in comparison.decisions if decision.file == pair.new)
        found.append(Table(caption, HEADER, rows))
    return tuple(found)


def row(decision: Decision) -> tuple[str, ...]:
    """One decision as cells of text."""
    return (
        name(decision),
        "" if decision.threads is None else str(decision.threads),
        figure(decision, decision.old),
        figure(decision, decision.new),
        change(decision),
        words(decision),
    )


def words(decision: Decision) -> str:
    """The verdict, in brackets where not being able to tell does not count."""
    if decision.verdict != "cannot tell":
        return decision.verdict
    if not decision.undecided:
        return "no regression"
    return "cannot tell" if decision.required else "(cannot tell)"


def sentence(comparison: Comparison) -> str:
    """What the status says, and of which metrics."""
    limit = f"{comparison.limit_percent:g} %"
    if comparison.limit_points != comparison.limit_percent:
        limit += f", or {comparison.limit_points:g} points of a share"
    if comparison.status == 1:
        worse = [told(decision) for decision in comparison.decisions if decision.verdict == "regression"]
        return f"Regression beyond {limit}: {'; '.join(worse)}."
    if comparison.status == 0:
        return f"No regression beyond {limit}."
    reasons = [f"{file} is not in the new report" for file in comparison.missing]
    if comparison.machine:
        reasons.append("latency and memory of another machine")
    open_ones = [each for each in comparison.decisions if each.required and each.undecided]
    for reason in dict.fromkeys(each.reason for each in open_ones if each.reason != "another machine"):
        names = dict.fromkeys(name(each) for each in open_ones if each.reason == reason)
        files = dict.fromkeys(each.file for each in open_ones if each.reason == reason)
        reasons.append(f"{', '.join(names)} of {', '.join(files)} ({reason or 'the interval is too wide'})")
    return f"Cannot tell whether there is a regression beyond {limit}: {'; '.join(reasons)}."


def remarks(comparison: Comparison) -> tuple[str, ...]:
    """What a reader has to know besides: other machines, other versions, what to do where nothing can be told."""
    found = []
    if comparison.machine:
        found.append(
            f"Another machine ({comparison.machine}): latency and memory are not judged, size and answers are."
        )
    if comparison.notes:
        found.append(f"Also different: {'; '.join(comparison.notes)}.")
    loose = [each for each in comparison.decisions if each.undecided and each.reason != "another machine"]
    if any(each.required and each.unit != "share" for each in loose):
        in_turn = any(pair.by == "order" for pair in comparison.pairs)
        found.append(LONGER if in_turn else f"{LONGER.removesuffix('.')}{TOGETHER}")
    return tuple(found)


def markdown(comparison: Comparison) -> str:
    """The comparison in GitHub's Markdown."""
    parts = [f"## {HEADINGS[comparison.status]}", sentence(comparison)]
    parts += [markdowns.table(part) for part in tables(comparison)]
    return "\n\n".join([*parts, *remarks(comparison)]) + "\n"


def name(decision: Decision) -> str:
    """The metric as people call it."""
    return NAMES.get(decision.metric, decision.metric)


def told(decision: Decision) -> str:
    """Which decision it is: the metric, the threads, the file."""
    with_threads = "" if decision.threads is None else f" with {threads(decision.threads)}"
    return f"{name(decision)} of {decision.file}{with_threads}"


def figure(decision: Decision, value: float | None) -> str:
    """A figure in the unit of its metric."""
    if value is None:
        return NONE
    if decision.unit == "share":
        return f"{value:.2%}".replace("%", " %")
    if decision.unit == "bytes":
        return mb(round(value))
    return f"{value:.0f}/s" if decision.unit == "images/s" else f"{three_digits(value)} {decision.unit}"


def change(decision: Decision) -> str:
    """The change with its interval: percent, or points of a share."""
    if decision.change is None or decision.interval is None:
        return decision.reason or NONE
    low, high = decision.interval
    digits, unit = (2, "points") if decision.unit == "share" else (1, "%")
    # Adding zero turns a rounded -0.0 into 0.0.
    value, low, high = (round(each, digits) + 0.0 for each in (decision.change, low, high))
    exact = f"{value:+.{digits}f} {unit}"
    return exact if low == high else f"{exact} [{low:+.{digits}f} to {high:+.{digits}f}]"
