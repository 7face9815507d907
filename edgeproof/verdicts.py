"""What the judging commands print: files beside Keras, and one model's answers, within 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from edgeproof import show

if TYPE_CHECKING:
    from edgeproof.convert.verification import Result, Summary
    from edgeproof.runtime.evaluation import Evaluation

WIDTH = 80


def verification(summary: Summary, *, as_json: bool) -> None:
    """Print each file beside Keras: its drop with the interval, what flipped, what fell, and why it failed."""
    from edgeproof.convert import verification_report

    if as_json:
        show.json({"verification": summary})
        return
    first = summary.results[0]
    print(
        f"Keras on {first.verification.images} test pictures: top-1 {first.verification.reference_top1:.2%}, "
        f"top-5 {first.verification.reference_top5:.2%}, ECE {first.paired.reference_ece:.3f}"
    )
    letters = {result.file: chr(ord("A") + number) for number, result in enumerate(summary.results)}
    for name, letter in letters.items():
        print(f"{letter}  {name}")
    accuracy = ("file", "size", "top-1", "drop, points [95 %]", "p", "same", "accepted")
    show.table(accuracy, [_drop_row(letters[result.file], result) for result in summary.results])
    details = ("file", "top-5", "lost", "gained", "ties", "top-1 by ties", "ECE", "mean KL", "largest")
    show.table(details, [_detail_row(letters[result.file], result) for result in summary.results])
    print(_wrapped(f"{verification_report.limits(summary)} {verification_report.resolvable(summary)}"))
    for result in summary.results:
        for line in (*verification_report.causes(result), *verification_report.findings(result)):
            print(_wrapped(f"{letters[result.file]}  {line}", indent="   "))


def evaluation(found: Evaluation, *, as_json: bool, as_csv: bool = False) -> None:
    """Print one model's accuracy with intervals, its ties and calibration, and its worst classes."""
    from edgeproof.runtime.evaluation import table, worst

    if as_json:
        show.json({"evaluation": found})
        return
    if as_csv:
        print(table(found), end="")
        return
    print(f"{found.model} on {found.images} pictures")
    rows = [
        ("top-1", f"{found.top1:.2%}", "[{:.2%} to {:.2%}]".format(*found.top1_interval)),
        ("top-5", f"{found.top5:.2%}", "[{:.2%} to {:.2%}]".format(*found.top5_interval)),
        ("ties for the first place", str(found.ties), f"top-1 {found.strict_top1:.2%} to {found.optimistic_top1:.2%}"),
        ("expected calibration error", f"{found.expected_calibration_error:.4f}", ""),
    ]
    show.table(("", "", "95 % interval, or by ties"), rows)
    classes = [
        (
            each.label,
            f"{each.correct} of {each.images}",
            "[{:.0%} to {:.0%}]".format(*each.top1_interval),
            f"{each.taken_for} {each.taken_for_times}×" if each.taken_for else "",
        )
        for each in worst(found)
    ]
    show.table(("worst classes", "right", "95 % interval", "most often taken for"), classes)
    if found.never_answered:
        print(_wrapped(f"never answered: {', '.join(found.never_answered)}"))


def _drop_row(letter: str, result: Result) -> tuple[str, ...]:
    found, (least, most) = result.verification, result.paired.drop_interval_points
    return (
        letter,
        f"{result.size_bytes / 1e6:.2f} MB",
        f"{found.top1:.2%}",
        f"{found.drop_points:+.2f} [{least:+.2f} to {most:+.2f}]",
        f"{result.paired.p_value:.2g}",
        f"{found.same_answers:.2%}",
        "yes" if result.accepted else "NO",
    )


def _detail_row(letter: str, result: Result) -> tuple[str, ...]:
    pairs = result.paired
    return (
        letter,
        f"{result.verification.top5:.2%}",
        str(pairs.lost),
        str(pairs.gained),
        str(result.verification.ties),
        f"{100 * pairs.strict_top1:.2f}–{100 * pairs.optimistic_top1:.2f}",
        f"{pairs.target_ece:.3f}",
        f"{pairs.mean_kl:.2g}",
        f"{pairs.largest_probability_difference:.2g}",
    )


def _wrapped(text: str, *, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
