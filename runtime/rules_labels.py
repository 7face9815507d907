"""The doctor's rules about labels: as many as outputs, and in their order? See docs/doctor.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgeproof.runtime.findings import Rule, Seen, listed
from edgeproof.runtime.specimen import Specimen

BACKGROUND = {"background", "__background__", "_background_", "???", "none", "unused", "dummy", "n/a", "no object"}
_LABELS = "Give the labels in the order of the outputs, one a line (--labels tries another file)."


def _count(specimen: Specimen) -> Iterator[Seen]:
    if specimen.labels is None or specimen.classes is None or len(specimen.labels) == specimen.classes:
        return
    more = specimen.classes - len(specimen.labels)
    hint = "; one output more often is a background class that comes first" if more == 1 else ""
    yield Seen(f"{len(specimen.labels)} labels for {specimen.classes} outputs{hint}")


def _background(specimen: Specimen) -> Iterator[Seen]:
    if specimen.labels and specimen.labels[0].strip().lower() in BACKGROUND:
        yield Seen(f"the first label is '{specimen.labels[0]}'")


def _numeric(specimen: Specimen) -> Iterator[Seen]:
    labels = specimen.labels or ()
    if labels and all(label.strip().isdecimal() for label in labels):
        yield Seen(f"{len(labels)} labels such as {listed(labels)}")


def _as_text(specimen: Specimen) -> Iterator[Seen]:
    labels = specimen.labels or ()
    if len(labels) < 3 or list(labels) != sorted(labels):
        return
    ends = [_number_at_the_end(label) for label in labels]
    falls = [place for place in range(1, len(ends)) if _follows(ends[place - 1], ends[place])]
    if falls:
        place = falls[0]
        yield Seen(f"'{labels[place - 1]}' stands before '{labels[place]}'", tuple(labels[place - 1 : place + 1]))


def _doubled(specimen: Specimen) -> Iterator[Seen]:
    again = [label for label, times in Counter(specimen.labels or ()).items() if times > 1 and label.strip()]
    if again:
        yield Seen(f"{len(again)} labels stand several times: {listed(again)}", tuple(again))


def _blank(specimen: Specimen) -> Iterator[Seen]:
    odd = [number for number, label in enumerate(specimen.labels or (), 1) if label != label.strip() or not label]
    if odd:
        yield Seen(f"{len(odd)} of {len(specimen.labels or ())}: lines {listed([str(number) for number in odd])}")


def _number_at_the_end(label: str) -> tuple[str, int | None]:
    words = label.rstrip("0123456789")
    return words, int(label[len(words) :]) if len(words) < len(label) and len(label) - len(words) < 19 else None


def _follows(one: tuple[str, int | None], other: tuple[str, int | None]) -> bool:
    """Whether two labels differ by their numbers alone, and the larger comes first."""
    return one[0] == other[0] and one[1] is not None and other[1] is not None and one[1] > other[1]


RULES: tuple[Rule[Specimen], ...] = (
    Rule("EP208", "error", "As many labels as outputs are needed, and there are not", _LABELS, _count),
    Rule(
        "EP209",
        "warning",
        "The first label looks like a background class",
        "See whether the model was trained with one; if not, every answer is off by one label.",
        _background,
    ),
    Rule("EP210", "note", "The labels are numbers", "Give class names, if these are only their numbers.", _numeric),
    Rule(
        "EP211",
        "warning",
        "Labels sorted as text, so that 10 comes before 2",
        "See in which order the model was trained: by number, most answers would have another one's name.",
        _as_text,
    ),
    Rule(
        "EP212",
        "warning",
        "Labels that stand several times",
        "Make them different: nobody can tell which class is meant. edgeproof's runtime refuses such a file.",
        _doubled,
    ),
    Rule(
        "EP213",
        "warning",
        "Labels that are empty or begin or end with a blank",
        "Remove the blanks and empty lines. edgeproof's runtime refuses empty labels.",
        _blank,
    ),
)
