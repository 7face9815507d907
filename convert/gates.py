"""The gates that a file must pass, and what stands in a report of one that does not."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeproof.convert.paired import Paired, drop_interval
from edgeproof.runtime.contract import Verification

Doubt = Literal["fail", "pass"]


class Gates(msgspec.Struct, frozen=True, kw_only=True):
    """How far a file may be from its reference: points of top-1, and the least share of same answers, 0 to 1.

    Without `significance` the measured drop is compared. With it the drop's paired interval of 1 - significance
    decides: below the limit as a whole passes, above it fails; what lies across it is in doubt, and fails unless
    `doubt` says that it passes.
    """

    max_drop: float
    min_agreement: float | None = None
    significance: float | None = None
    doubt: Doubt = "fail"

    def __post_init__(self) -> None:
        if self.significance is not None and not 0 < self.significance < 1:
            raise ValueError(f"Expected a significance between 0 and 1, got {self.significance:g}.")
        if self.min_agreement is not None and not 0 <= self.min_agreement <= 1:
            raise ValueError(f"Expected a share of same answers from 0 to 1, got {self.min_agreement:g}.")


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A gate that a file did not pass: max-drop, significance, min-agreement, labels or weights, and why."""

    gate: str
    sentence: str


def breaches(gates: Gates, found: Verification, pairs: Paired) -> tuple[Breach, ...]:
    """The gates of accuracy and agreement that the figures do not pass."""
    drop = _drop(gates, found, pairs)
    agreement = gates.min_agreement
    if agreement is not None and found.same_answers < agreement:
        few = f"{found.same_answers:.2%} same answers, less than {agreement:.2%}"
        return (*drop, Breach(gate="min-agreement", sentence=few))
    return drop


def _drop(gates: Gates, found: Verification, pairs: Paired) -> tuple[Breach, ...]:
    limit = gates.max_drop
    if gates.significance is None:
        if found.drop_points <= limit:
            return ()
        return (Breach(gate="max-drop", sentence=f"the drop of {found.drop_points:.2f} is beyond {limit:g} points"),)
    low, high = drop_interval(pairs.lost, pairs.gained, found.images, confidence=1 - gates.significance)
    words = f"the drop of {found.drop_points:.2f} [{low:.2f} to {high:.2f}] is"
    if low > limit:
        return (Breach(gate="significance", sentence=f"{words} shown to be beyond {limit:g} points"),)
    if high > limit and gates.doubt == "fail":
        return (Breach(gate="significance", sentence=f"{words} not shown to be within {limit:g} points"),)
    return ()
