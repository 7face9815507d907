"""What a doctor's rule is, and what it finds: an id, a severity, evidence, a remedy and places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import msgspec

Severity = Literal["error", "warning", "note"]
# The worst first. An error gives wrong answers or does not run; a warning costs accuracy, speed or portability.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule saw: the numbers and names that prove it, and all places where it holds."""

    evidence: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule(Generic[Subject]):
    """One thing that can be wrong. `check` gives what it sees in a subject, and nothing where all is well."""

    id: str
    severity: Severity
    title: str
    remedy: str
    check: Callable[[Subject], Iterable[Seen]]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that holds for a file. `places` name files, tensors and operators."""

    rule: str
    severity: Severity
    title: str
    evidence: str
    remedy: str
    places: tuple[str, ...] = ()


def found(
    rules: Iterable[Rule[Subject]], subject: Subject, *, tolerated: tuple[type[Exception], ...] = ()
) -> list[Finding]:
    """What the rules say of a subject, in their order; a rule that raises what is `tolerated` says nothing."""
    findings: list[Finding] = []
    for rule in rules:
        try:
            findings += [finding(rule, seen) for seen in rule.check(subject)]
        except tolerated:
            continue
    return findings


def finding(rule: Rule[Subject], seen: Seen) -> Finding:
    """A rule and what it saw, as one finding."""
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        title=rule.title,
        evidence=seen.evidence,
        remedy=rule.remedy,
        places=seen.places,
    )


def listed(names: Sequence[str], *, most: int = 3) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
