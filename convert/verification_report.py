"""A verification as Markdown, and its findings as sentences for the terminal too."""

from __future__ import annotations

from collections.abc import Iterator

from edgeproof.convert.verification import Result, Summary

# So many classes and pairs are named; the rest is counted.
NAMED = 5
HEADER = (
    "| file | size, bytes | top-1 (95 % interval) | top-5 | drop, points (95 % interval) | p | same answers | ties "
    "| accepted |"
)


def markdown(summary: Summary) -> str:
    """The summary as a table for people, with what was found of each file below."""
    reference = summary.results[0].verification
    lines = [
        f"# Verification of {summary.model}",
        "",
        f"{reference.images} test pictures, the same pixels for Keras and for each file. Keras: top-1 "
        f"{reference.reference_top1:.2%}, top-5 {reference.reference_top5:.2%}. {limits(summary)}",
        "",
        HEADER,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for result in summary.results:
        found = result.verification
        low, high = found.top1_interval
        least, most = result.paired.drop_interval_points
        lines.append(
            f"| `{result.file}` | {result.size_bytes:,} | {found.top1:.2%} ({low:.2%}–{high:.2%}) | {found.top5:.2%} "
            f"| {found.drop_points:+.2f} ({least:+.2f} to {most:+.2f}) | {result.paired.p_value:.2g} "
            f"| {found.same_answers:.2%} | {found.ties} "
            f"| {'yes' if result.accepted else '**no**'} |"
        )
    lines += ["", "The drop's interval is paired (Bonett and Price 2012), p is McNemar's exact one for no drop. "]
    lines[-1] += resolvable(summary)
    for result in summary.results:
        told = [*causes(result), *findings(result)]
        lines += ["", f"`{result.file}`:", "", *(f"- {line}" for line in told)] if told else []
    return "\n".join(lines) + "\n"


def limits(summary: Summary) -> str:
    """The gates in a sentence."""
    said = f"Limit: a drop of {summary.max_drop:g} points"
    if summary.significance is not None:
        doubt = "fails" if summary.doubt == "fail" else "passes"
        said += f", judged by the {1 - summary.significance:.0%} interval (doubt {doubt})"
    if summary.min_agreement is not None:
        said += f"; at least {summary.min_agreement:.2%} same answers"
    return said + "."


def resolvable(summary: Summary) -> str:
    """What size of drop this number of pictures can show at all."""
    least = max(result.paired.resolvable_points for result in summary.results)
    return (
        f"So many pictures with so many flips show a drop of {least:.2f} points four times out of five; "
        "smaller ones may hide."
    )


def causes(result: Result) -> Iterator[str]:
    """Why a file was not accepted: each gate, then the explanations, the likely cause first."""
    for breach in result.breaches:
        yield f"FAILED {breach.gate}: {breach.sentence}"
    for number, each in enumerate(result.explanations, 1):
        after = f" to {each.agreement_after:.1%}" if each.agreement_after is not None else ""
        then = f"same answers on {each.images} pictures: {each.agreement_before:.1%}{after}"
        yield f"cause {number}, {each.id}: {each.sentence} ({then}). {each.remedy}"


def findings(result: Result) -> Iterator[str]:
    """The classes that fell, the pairs that grew and the answers that vanished, each corrected for many tests."""
    fell = sorted((each for each in result.classes if each.fell), key=lambda each: each.adjusted_p_value)
    if fell:
        named = ", ".join(
            f"{each.label} {each.reference_correct}→{each.correct} of {each.images}" for each in fell[:NAMED]
        )
        yield f"{_classes(len(fell))} fell significantly: {named}{_more(len(fell))}"
    grew = [each for each in result.shifts if each.grew]
    if grew:
        named = ", ".join(f"{each.true} as {each.answered} {each.before}→{each.after}" for each in grew[:NAMED])
        yield f"taken for another class significantly more often: {named}{_more(len(grew))}"
    if result.collapsed:
        named = ", ".join(result.collapsed[:NAMED])
        yield f"{_classes(len(result.collapsed))} never answered any more: {named}{_more(len(result.collapsed))}"


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"


def _more(count: int) -> str:
    return f" and {count - NAMED} more" if count > NAMED else ""
