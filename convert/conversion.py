"""The conversion as a whole: export by recipe, describe, verify, and keep or reject."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from edgeproof.convert import examples, formats, keeping, metadata, verification, verification_report
from edgeproof.convert.calibration import CalibrationSet
from edgeproof.convert.examples import Source
from edgeproof.convert.formats import Format
from edgeproof.convert.recipes import DEFAULTS, INT8_QAT, Choice, Options, Recipe
from edgeproof.convert.reference import Reference
from edgeproof.convert.verification import Evidence, Result, Summary
from edgeproof.convert.workshop import Workshop
from edgeproof.runtime import contract as contracts
from edgeproof.runtime import graph
from edgeproof.runtime.atomic import writable_folder, write_text
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, Calibration, Contract, Golden
from edgeproof.runtime.errors import ConfigError, DataError
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.labels import text as labels_text
from edgeproof.runtime.modelfile import pack
from edgeproof.train.run import write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What a user says of the files: their name (the model's own where empty), the author, the licence.

    `golden` are the pictures that travel in them: some of the test set, drawn ones, or none.
    """

    name: str = ""
    author: str = ""
    license: str = ""
    golden: Source = "test"


@dataclass(frozen=True)
class _Job:
    """What every file of one conversion shares."""

    reference: Reference
    workshop: Workshop
    calibration: CalibrationSet
    evidence: Evidence
    stem: str
    max_drop: float
    about: About


def convert(
    reference: Reference,
    recipes: Sequence[Recipe | Choice],
    calibration: CalibrationSet,
    evidence: Evidence,
    *,
    out: Path,
    max_drop: float,
    about: About = About(),
    options: Options = DEFAULTS,
    workshop: Workshop | None = None,
    also: Sequence[Format] = (),
) -> Summary:
    """Write `<name>-<recipe>.tflite` for each recipe, verified, with verification.json and .md beside them.

    A `Choice` takes the place of a recipe that is not to be made as `options` say. `workshop` is where a search has
    built some of the files; there, it decides what files take and give. `also` are other formats to write it in.

    A file that drops more than `max_drop` points of top-1 is kept as `….rejected.tflite`; an earlier accepted one of
    its name is removed then, so that no stale file passes for a verified one. Raises `DataError` when the
    pictures do not fit the model.
    """
    if evidence.test.preprocessing.input_size != reference.size:
        size = evidence.test.preprocessing.input_size
        raise DataError(f"The pictures are prepared for {size} pixels; the model takes {reference.size}.")
    if evidence.test.labels != reference.labels:
        raise DataError("The pictures' classes are not the model's labels. Give the data the model was trained on.")
    stem = stem_of(reference, about)
    folder = writable_folder(out)
    for note in reference.notes:
        logger.info("%s: %s", stem, note)
    job = _Job(
        reference,
        workshop or bench(reference, calibration, options),
        calibration,
        evidence,
        stem,
        max_drop,
        about,
    )
    choices = [each if isinstance(each, Choice) else options.choice(each) for each in recipes]
    results = tuple(_export_one(job, choice, folder) for choice in choices)
    results += formats.export(also, reference, evidence, stem=stem, folder=folder, max_drop=max_drop)
    summary = Summary(model=stem, max_drop=max_drop, results=results)
    write_text(folder / "verification.md", verification_report.markdown(summary))
    write_json(folder / "verification.json", summary)
    return summary


def bench(
    reference: Reference,
    calibration: CalibrationSet,
    options: Options = DEFAULTS,
    *,
    train: LabelledPictures | None = None,
) -> Workshop:
    """A workshop for a model, its calibration pictures, and what its files take and give; `train` is for int8-qat."""
    return Workshop(
        reference.model,
        calibration.pixels(),
        train=train,
        seed=calibration.seed,
        taken=options.taken,
        given=options.given,
    )


def stem_of(reference: Reference, about: About) -> str:
    """What the names of a model's files start with. Raises `ConfigError` for a path."""
    stem = (about.name or reference.name).replace("_", "-")
    if Path(stem).name != stem:
        raise ConfigError(f"--name {stem}: a name, not a path, is expected. Give the folder with --out.")
    return stem


def _export_one(job: _Job, choice: Choice, folder: Path) -> Result:
    recipe = choice.recipe
    name, labels, evidence = f"{job.stem}-{recipe.name}", job.reference.labels, job.evidence
    flatbuffer = metadata.with_metadata(
        job.workshop.flatbuffer(choice),
        name=name,
        description=f"Image classifier of {len(labels)} classes, {recipe.summary}.",
        size=job.reference.size,
        author=job.about.author,
        license=job.about.license,
    )
    unverified = _contract(name, flatbuffer, job, choice)
    with TemporaryDirectory() as scratch:
        trial = Path(scratch) / f"{name}.tflite"
        trial.write_bytes(_packed(flatbuffer, unverified, labels))
        outputs = verification.outputs([Classifier(trial) for _ in range(os.cpu_count() or 1)], evidence.test)
    found = verification.compare(outputs, evidence.outputs, evidence.test)
    golden, pictures = _golden(flatbuffer, job)
    contract = structs.replace(unverified, verification=found, golden=golden)
    content = _packed(flatbuffer, contract, labels, pictures)
    result = verification.judge(
        outputs, evidence, file=f"{name}.tflite", recipe=recipe.name, content=content, max_drop=job.max_drop
    )
    return keeping.keep(result, {".tflite": content}, folder, name)


def _contract(name: str, flatbuffer: bytes, job: _Job, choice: Choice) -> Contract:
    recipe = choice.recipe
    runner = Runner(flatbuffer)
    return Contract(
        name=name,
        recipe=recipe.name,
        preprocessing=job.evidence.test.preprocessing,
        labels_sha256=contracts.sha256(labels_text(job.reference.labels).encode()),
        model_sha256=contracts.sha256(flatbuffer),
        input=runner.input,
        output=runner.output,
        quantisation=graph.quantisation(flatbuffer),
        repairs=choice.steps.names if recipe.rounds and recipe != INT8_QAT else (),
        left_in_float=job.workshop.spared(choice),
        calibration=_calibration(job, choice) if recipe.calibrates else None,
        provenance={
            **job.reference.provenance,
            "edgeproof": version("edgeproof"),
            "tensorflow": version("tensorflow"),
        },
    )


def _calibration(job: _Job, choice: Choice) -> Calibration:
    if choice.recipe == INT8_QAT:
        return job.calibration.summary
    _, convergence = job.workshop.preparation(choice).observed
    movement = convergence.movement[-1] if convergence.movement else None
    return structs.replace(job.calibration.summary, estimator=choice.estimator, movement=movement)


def _golden(flatbuffer: bytes, job: _Job) -> tuple[Golden | None, dict[str, bytes]]:
    """The golden examples of a file, and what is appended for them."""
    test, source = job.evidence.test, job.about.golden
    return examples.choose(flatbuffer, test, source) if source != "none" else (None, {})


def _packed(
    flatbuffer: bytes, contract: Contract, labels: tuple[str, ...], pictures: Mapping[str, bytes] | None = None
) -> bytes:
    files = {LABELS_NAME: labels_text(labels).encode(), CONTRACT_NAME: contracts.encode(contract)}
    return pack(flatbuffer, {**files, **(pictures or {})})
