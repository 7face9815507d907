"""Why does a file answer differently? Each explanation is tried on a few hundred pictures, the best one comes first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from scipy.special import bdtrc

from edgeproof.convert import origin, paired
from edgeproof.convert.relabelling import Relabelling
from edgeproof.runtime import graph
from edgeproof.runtime.accuracy import Probabilities, same_answers
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.modelfile import ModelFile
from edgeproof.runtime.pixels import Pixels

IMAGES = 400
# What networks are fed with for the bytes 0 and 255.
RANGES = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0), (-128.0, 127.0), (-0.5, 0.5))
# Chance of listing a trial that changed answers at random.
SIGNIFICANCE = 0.005
# A combination of two faults must explain so much more than either alone.
CLEARLY_MORE = 0.05
# Evidence of other weights comes before trials that give back less than this share of the answers that differ.
MOST = 0.5
# With so many same answers back, nothing is left to explain.
ENOUGH = 0.99
BATCH = 64


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One cause: its id, what it says, what speaks for it, what to do.

    `agreement_before` and `_after` are shares of same answers on `images` pictures, as the file is and as it would
    be with this put right; None after for what cannot be tried. Ids: labels, input-range, channel-order,
    input-range-and-channel-order, resampling, weights, quantisation, unexplained.
    """

    id: str
    sentence: str
    remedy: str
    images: int
    agreement_before: float
    agreement_after: float | None = None
    divergence_after: float | None = None
    evidence: dict[str, float | str] = {}


@dataclass(frozen=True)
class Case:
    """A file with its outputs, what it is held against, and what is known: of shape (images, classes), all images.

    `given_range` is what the file was given for the bytes 0 and 255, None for bytes as they are. `keras_model` is
    the reference's own file where there is one.
    """

    file: ModelFile
    outputs: Probabilities
    reference: Probabilities
    pictures: LabelledPictures
    given_range: tuple[float, float] | None
    relabelling: Relabelling | None
    keras_model: Path | None


@dataclass(frozen=True)
class _Trial:
    id: str
    sentence: str
    remedy: str
    outputs: Probabilities


def explain(case: Case) -> tuple[Explanation, ...]:
    """The causes that help, most same answers first; at least one, which may say that nothing was found."""
    chosen = np.unique(np.linspace(0, len(case.pictures) - 1, min(IMAGES, len(case.pictures))).astype(np.int64))
    reference, before = case.reference[chosen], case.outputs[chosen]
    agreement = same_answers(before, reference).share
    tried = [_told(trial, before, reference) for trial in _trials(case, chosen) if _helps(trial, before, reference)]
    tried.sort(key=lambda each: (-(each.agreement_after or 0), each.divergence_after or 0))
    found = _without_needless_pairs(tried)
    found = _with_evidence(case, found, agreement, len(chosen))
    if not found or max(each.agreement_after or 0 for each in found) < ENOUGH:
        found += _remainder(case, agreement, len(chosen), alone=not found)
    return tuple(found)


def _trials(case: Case, chosen: np.ndarray) -> Iterator[_Trial]:
    """The file's outputs on the chosen pictures with one thing put right after another."""
    if case.relabelling is not None:
        yield _Trial(
            "labels",
            case.relabelling.sentence,
            "Put the labels into the order of the outputs, and export again.",
            case.outputs[chosen][:, case.relabelling.order],
        )
    stored = case.pictures.stored[chosen]
    pixels = case.pictures.preprocessing.finished(stored)
    contract = case.file.contract
    own = pixels
    if contract is not None and contract.preprocessing != case.pictures.preprocessing:
        own = np.stack([contract.preprocessing.pixels(picture) for picture in stored])
        yield _Trial(
            "resampling",
            "its contract prepares pictures in another way than the reference does",
            "Export again with the reference's preprocessing.",
            _run(case, pixels, case.given_range),
        )
    yield from _inputs(case, own)


def _inputs(case: Case, pixels: Pixels) -> Iterator[_Trial]:
    """Other ranges and the other order of channels, alone and together."""
    given = case.given_range
    was = f"not {_span(given)}" if given is not None else "not as they are"
    again = "Give it as --input-range." if case.file.contract is None else "Put the scaling into the graph."
    reversed_order, bgr = (
        "its channels are in the order BGR",
        "Reverse the channels of its first layer, or export again.",
    )
    yield _Trial("channel-order", reversed_order, bgr, _run(case, pixels[..., ::-1], given))
    for span in RANGES:
        if span == given:
            continue
        words = f"it takes {_span(span)} for the bytes 0 to 255, {was}"
        yield _Trial("input-range", words, again, _run(case, pixels, span))
        both = "input-range-and-channel-order"
        yield _Trial(both, f"{words}, and {reversed_order}", f"{again} {bgr}", _run(case, pixels[..., ::-1], span))


def _run(case: Case, pixels: Pixels, span: tuple[float, float] | None) -> Probabilities:
    """The outputs in the order of the reference's columns."""
    content, threads = case.file.flatbuffer, os.cpu_count() or 1
    runner = Runner(content, num_threads=threads, input_range=span) if span else Runner(content, num_threads=threads)
    labels = case.file.labels or case.pictures.labels
    columns = [labels.index(label) for label in case.pictures.labels]
    return runner.probabilities(np.ascontiguousarray(pixels))[:, columns]


def _helps(trial: _Trial, before: Probabilities, reference: Probabilities) -> bool:
    """Whether a trial gives back more answers than chance would. Labels were tested on all pictures already."""
    right, was = (each.argmax(axis=1) == reference.argmax(axis=1) for each in (trial.outputs, before))
    better, worse = int((right & ~was).sum()), int((was & ~right).sum())
    if trial.id == "labels":
        return better >= worse
    return better > worse and float(bdtrc(better - 1, better + worse, 0.5)) < SIGNIFICANCE


def _told(trial: _Trial, before: Probabilities, reference: Probabilities) -> Explanation:
    return Explanation(
        id=trial.id,
        sentence=trial.sentence,
        remedy=trial.remedy,
        images=len(before),
        agreement_before=same_answers(before, reference).share,
        agreement_after=same_answers(trial.outputs, reference).share,
        divergence_after=paired.mean_kl(reference, trial.outputs),
    )


def _without_needless_pairs(tried: list[Explanation]) -> list[Explanation]:
    """The best of each id, and no combination that explains little more than one of its parts."""
    best: dict[str, Explanation] = {}
    for each in tried:
        best.setdefault(each.id, each)
    both = best.get("input-range-and-channel-order")
    if both is not None:
        singles = [best[name].agreement_after or 0 for name in ("input-range", "channel-order") if name in best]
        if singles and (both.agreement_after or 0) < max(singles) + CLEARLY_MORE:
            del best[both.id]
        else:
            best.pop("input-range", None)
            best.pop("channel-order", None)
    return list(best.values())


def _with_evidence(case: Case, tried: list[Explanation], agreement: float, images: int) -> list[Explanation]:
    """The trials with what is known of the file's weights, which comes first unless a trial gives back most."""
    if case.keras_model is None:
        return tried
    source = origin.compare(case.file, case.keras_model)
    if source.same is not False:
        return tried
    other = Explanation(
        id="weights",
        sentence="it was made from other weights than the reference's: of another epoch, or of another model",
        remedy="Export the reference itself, or give with --against what this file was made from.",
        images=images,
        agreement_before=agreement,
        evidence=source.evidence,
    )
    enough = agreement + MOST * (1 - agreement)
    first = [each for each in tried if (each.agreement_after or 0) >= enough]
    return [*first, other, *(each for each in tried if each not in first)]


def _remainder(case: Case, agreement: float, images: int, *, alone: bool) -> list[Explanation]:
    """What is left when nothing that was tried gives back the answers: quantisation, for files with integers."""
    found = graph.quantisation(case.file.flatbuffer)
    if found.integer_multiply_accumulates:
        share = found.integer_multiply_accumulates / found.multiply_accumulates
        repairs = ", ".join(case.file.contract.repairs) if case.file.contract is not None else ""
        return [
            Explanation(
                id="quantisation",
                sentence=f"what remains is quantisation: {share:.0%} of its multiplications are in integers",
                remedy="See `edgeproof diagnose`; try `edgeproof convert --recipe auto`.",
                images=images,
                agreement_before=agreement,
                evidence={"integer_share": share, "repairs": repairs or "none recorded"},
            )
        ]
    if not alone:
        return []
    return [
        Explanation(
            id="unexplained",
            sentence="no input range, order of channels or order of labels that was tried brings the answers back",
            remedy="Give the Keras model that it was made from, and export again.",
            images=images,
            agreement_before=agreement,
        )
    ]


def _span(span: tuple[float, float]) -> str:
    return f"{span[0]:g} to {span[1]:g}"
