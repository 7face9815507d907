"""Golden examples run again: are the answers the expected ones, and if not, which mistake gives just these?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import golden
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.faults import FAULTS, Fault
from edgeproof.runtime.golden import Examples
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pipeline import Pipeline, shipped

# What rounding of the table to six decimals and float kernels move; below it nothing is asked.
FLOOR = 2e-4
# A fault is named when the answers are so many times nearer to its answers than to the right ones.
NEARER = 3.0
LABELS = Fault(
    "labels",
    "The probabilities are right and stand under other labels.",
    "Use the labels.txt in the file, in its order.",
    lambda right: None,
)


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that was tried, and how far its answers are from those that were found."""

    id: str
    sentence: str
    remedy: str
    distance: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found. Distances are mean total variation distances, 0 to 1.

    `pixels` tells whether the preprocessing gave the expected bytes, where it was looked at. `fault` is None for
    right answers, and for wrong ones that no known mistake explains; `tried` are the faults, the nearest first.
    """

    sound: bool
    examples: int
    distance: float
    tolerance: float
    pixels: Literal["as expected", "others", "not looked at"]
    other_answers: tuple[str, ...]
    fault: Named | None
    tried: tuple[Named, ...]


@dataclass(frozen=True)
class Observed:
    """An application's answers to the golden pictures, in their order.

    `outputs` has shape (examples, classes), with NaN where a class was not told, as behind the first five.
    """

    outputs: Probabilities
    pixels: tuple[str, ...] | None = None


def replay(classifier: Classifier) -> Verdict:
    """Run a file's golden examples through the runtime that is installed here. Raises `ModelError` without any."""
    examples = golden.read(classifier.file)
    pixels = np.stack([classifier.preprocessing.pixels(picture) for picture in examples.pictures])
    hashes = tuple(sha256(one.tobytes()) for one in pixels)
    outputs = np.concatenate([classifier.probabilities(one[np.newaxis]) for one in pixels])
    return judge(classifier, Observed(outputs, hashes))


def judge(classifier: Classifier, observed: Observed) -> Verdict:
    """Hold an application's answers against the golden ones, and against those of every known fault.

    Raises `ModelError` for a file without golden examples.
    """
    examples = golden.read(classifier.file)
    expected = [example.pixels_sha256 for example in examples.golden.examples]
    same_pixels = observed.pixels is None or list(observed.pixels) == expected
    found = distance(observed.outputs, examples.outputs)
    tried: tuple[Named, ...] = ()
    if found > FLOOR or not same_pixels:
        tried = _tried(classifier, examples, observed.outputs)
    fault = tried[0] if tried and found > FLOOR and tried[0].distance < found / NEARER else None
    return Verdict(
        sound=fault is None and same_pixels and found <= max(FLOOR, examples.golden.tolerance),
        examples=len(examples),
        distance=found,
        tolerance=max(FLOOR, examples.golden.tolerance),
        pixels="not looked at" if observed.pixels is None else "as expected" if same_pixels else "others",
        other_answers=_other_answers(observed.outputs, examples),
        fault=fault,
        tried=tried,
    )


def distance(outputs: Probabilities, expected: Probabilities) -> float:
    """The mean total variation distance of two sets of outputs, shape (examples, classes); NaN is passed over."""
    gaps = np.abs(outputs.astype(np.float64) - expected)
    return float(np.where(np.isnan(outputs), 0.0, gaps).sum(axis=1).mean() / 2)


def answers(right: Pipeline, fault: Fault, pictures: tuple[bytes, ...]) -> Probabilities | None:
    """What an application with a fault answers, shape (pictures, classes); None where the file rules it out."""
    wrong = fault.spoil(right)
    return None if wrong is None else wrong.outputs(pictures)


def _tried(classifier: Classifier, examples: Examples, observed: Probabilities) -> tuple[Named, ...]:
    right = shipped(Runner(classifier.file.flatbuffer), classifier.preprocessing)
    found = [_named(LABELS, _distance_by_rank(observed, examples.outputs))]
    for fault in FAULTS:
        wrong = answers(right, fault, examples.pictures)
        if wrong is not None:
            found.append(_named(fault, distance(observed, wrong)))
    return tuple(sorted(found, key=lambda each: each.distance))


def _named(fault: Fault, found: float) -> Named:
    return Named(id=fault.id, sentence=fault.sentence, remedy=fault.remedy, distance=found)


def _distance_by_rank(observed: Probabilities, expected: Probabilities) -> float:
    """The distance when each probability may stand under any label: largest held against largest, and so on."""
    return distance(_falling(observed), _falling(expected))


def _falling(outputs: Probabilities) -> NDArray[np.float32]:
    """Every row from its largest value down, NaN last."""
    return -np.sort(-outputs, axis=1)


def _other_answers(observed: Probabilities, examples: Examples) -> tuple[str, ...]:
    best = np.where(np.isnan(observed), -np.inf, observed).argmax(axis=1)
    expected = examples.outputs.argmax(axis=1)
    return tuple(
        f"{name}: {examples.labels[ours]}, expected {examples.labels[theirs]}"
        for name, ours, theirs in zip(examples.names, best, expected, strict=True)
        if ours != theirs
    )
