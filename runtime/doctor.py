"""The doctor: runs every rule on a model file, of edgeproof's or anybody's, and on its answers to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from edgeproof.runtime import (
    labelled,
    rules_answers,
    rules_file,
    rules_graph,
    rules_labels,
    rules_loading,
    rules_metadata,
    rules_mixed,
    rules_quantisation,
    rules_scales,
    rules_weights,
    specimen,
    testset,
    trying,
)
from edgeproof.runtime.errors import ConfigError, DataError, ModelError
from edgeproof.runtime.findings import SEVERITIES, Finding, Rule, Severity, found
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.runtime.rules_answers import Sitting
from edgeproof.runtime.specimen import Specimen
from edgeproof.runtime.trying import Feed, Verdict

STATIC = (
    *rules_file.RULES,
    *rules_metadata.RULES,
    *rules_labels.RULES,
    *rules_graph.RULES,
    *rules_mixed.RULES,
    *rules_quantisation.RULES,
    *rules_scales.RULES,
    *rules_weights.RULES,
    *rules_loading.RULES,
)
RULES: tuple[Rule[Any], ...] = (*STATIC, *rules_loading.LOADING, *rules_answers.RULES)
FailOn = Literal["error", "warning", "never"]
# Pictures for the answers, and of those for trying ranges.
PICTURES, FEW = 1000, 200


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How a file answered labelled pictures. `fed` says what its input got; `assumed` what nothing says."""

    images: int
    top1: float
    top1_interval: tuple[float, float]
    fed: str
    assumed: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor found, the worst first. `unanswered` says why pictures were not tried though they were given."""

    schema: int = 1
    file: str
    size_bytes: int
    rules: int
    findings: tuple[Finding, ...]
    answers: Answered | None = None
    ranges: Verdict | None = None
    unanswered: str = ""

    def count(self, severity: Severity) -> int:
        """How many findings have a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def fails(self, limit: FailOn) -> bool:
        """Whether there is a finding as bad as the limit, or worse."""
        if limit == "never":
            return False
        return any(self.count(severity) for severity in SEVERITIES[: SEVERITIES.index(limit) + 1])


def examine(
    path: str | Path,
    *,
    labels: str | Path | None = None,
    data: str | Path | None = None,
    try_ranges: bool = False,
) -> Report:
    """Look at a file, whatever state it is in; with `data` (a folder or zip of labelled pictures) also run it.

    `labels` is a file that takes the place of the model's own. Ranges are tried with `try_ranges`, and where nothing
    says what a float input takes. Raises `ModelError` for no such file, `DataError` for labels or pictures that
    cannot be used, and `ConfigError` for ranges to be tried without pictures.
    """
    if try_ranges and data is None:
        raise ConfigError("--try-ranges needs labelled pictures. Give --data FOLDER with a folder a class.")
    source = Path(path)
    patient = specimen.opened(source, _content(labels) if labels is not None else None)
    # A rule may stumble over a graph that contradicts itself; EP601 and EP602 say that it does.
    sound = patient.anatomy is None or not rules_loading.refusal(patient)
    findings = found(STATIC, patient, tolerated=() if sound else specimen.DAMAGED)
    if not _errors(findings):
        findings += found(rules_loading.LOADING, patient)
    answers, ranges, unanswered = None, None, ""
    if data is not None:
        runner, unanswered = _runner(patient, findings)
        if runner is not None:
            answers, ranges, more = _answered(patient, runner, Path(data), try_ranges)
            findings += more
    return Report(
        file=str(source),
        size_bytes=len(patient.content),
        rules=len(RULES) - (0 if answers else len(rules_answers.RULES)),
        findings=tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        answers=answers,
        ranges=ranges,
        unanswered=unanswered,
    )


def _runner(patient: Specimen, findings: list[Finding]) -> tuple[Runner | None, str]:
    """The file, ready to answer; or why it cannot."""
    if patient.anatomy is None or rules_loading.refusal(patient) or {"EP603", "EP456"} & {f.rule for f in findings}:
        return None, "the file cannot be run"
    if patient.image is None or patient.classes is None:
        return None, "it is no classifier of pictures: one input (1, height, width, 3) and one output (1, classes)"
    try:
        return Runner(patient.flatbuffer), ""
    except ModelError as error:
        return None, str(error).removesuffix(".")


def _answered(
    patient: Specimen, runner: Runner, data: Path, try_ranges: bool
) -> tuple[Answered, Verdict | None, list[Finding]]:
    pictures, assumed = _pictures(patient, runner, data)
    pixels = pictures.preprocessing.finished(pictures.stored[:])
    feed = _feed(patient, runner)
    verdict = None
    if try_ranges or feed is None:
        few = _spread(len(pictures), FEW)
        options = trying.feeds(runner.input.dtype)
        known = {option.name for option in options}
        options += (feed,) if feed is not None and feed.name not in known else ()
        verdict = trying.tried(runner, pixels[few], pictures.classes[few], options)
        if feed is None:
            feed = next(option for option in options if option.name == verdict.trials[0].feed)
            assumed += (f"the likeliest input: {feed.name}",)
    outputs = trying.answers(runner, feed, pixels)
    sitting = Sitting(pictures.labels, pictures.classes, outputs, feed.name, verdict, patient.contract)
    top1 = sitting.top1
    answered = Answered(
        images=len(pictures), top1=top1.share, top1_interval=top1.interval(), fed=feed.name, assumed=assumed
    )
    return answered, verdict, found(rules_answers.RULES, sitting)


def _pictures(patient: Specimen, runner: Runner, data: Path) -> tuple[LabelledPictures, tuple[str, ...]]:
    """At most a thousand pictures, evenly from the whole, and what was taken for granted to read them."""
    height, width = runner.input.shape[1:3]
    chain = Preprocessing(steps=(Resize(width=width, height=height),))
    assumed: tuple[str, ...] = ()
    if patient.contract is not None:
        chain = patient.contract.preprocessing
    else:
        assumed += (f"pictures stretched to {width}×{height}",)
    labels = patient.labels
    if labels is None:
        labels = tuple(sorted({item.label for item in labelled.judged(labelled.find(labelled.Archive(data)))}))
        assumed += ("outputs in the order of the folders' names",)
    if len(labels) != runner.output.shape[-1]:
        found_labels = f"{len(labels)} labels for {runner.output.shape[-1]} outputs"
        raise DataError(f"{data}: {found_labels}. Give --labels with one a line, in the outputs' order.")
    pictures = testset.load(data, chain, labels)
    # A run's test pictures come with labels and a size of their own.
    if sorted(pictures.labels) != sorted(labels):
        raise DataError(f"{data}: its labels are not the model's. Give matching data.")
    if pictures.preprocessing.input_size != (height, width):
        raise DataError(f"{data}: its pictures are prepared for another size than {height}×{width}. Give others.")
    ordered = pictures.relabelled(tuple(labels)) if pictures.labels != tuple(labels) else pictures
    return ordered.take(_spread(len(ordered), PICTURES)), assumed


def _feed(patient: Specimen, runner: Runner) -> Feed | None:
    """What the file itself says that its input takes; None where it says nothing."""
    if runner.input.dtype != "float32":
        return trying.BYTES[0]
    if patient.contract is not None:
        return trying.RAW
    said = patient.metadata.inputs[0].normalisation if patient.metadata and patient.metadata.inputs else None
    usable = said is not None and len(said.mean) in (1, 3) and len(said.std) in (1, 3) and all(said.std)
    if said is None or not usable:
        return None
    feed = trying.normalising("as the metadata says", said.mean, said.std)
    same = [each for each in trying.FEEDS if not each.bgr and _same(each, feed)]
    return same[0] if same else feed


def _same(one: Feed, other: Feed) -> bool:
    return np.allclose(one.scales, other.scales, rtol=0.01) and np.allclose(one.shifts, other.shifts, atol=0.02)


def _spread(count: int, most: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def _errors(findings: list[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _content(labels: str | Path) -> bytes:
    try:
        return Path(labels).read_bytes()
    except OSError as error:
        raise DataError(f"{labels}: the labels cannot be read: {error.strerror}. Give a text file.") from None
