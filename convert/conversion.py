"""The conversion as a whole: export by recipe, describe, verify, and keep or reject."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from edgeproof.convert import graph, metadata, verification
from edgeproof.convert.build import build
from edgeproof.convert.calibration import CalibrationSet
from edgeproof.convert.preparation import Preparation
from edgeproof.convert.recipes import DEFAULTS, Options, Recipe
from edgeproof.convert.reference import Reference
from edgeproof.convert.verification import Evidence, Result, Summary
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.atomic import writable_folder, write_bytes, write_text
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, Calibration, Contract
from edgeproof.runtime.errors import ConfigError, DataError
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labels import text as labels_text
from edgeproof.runtime.modelfile import pack
from edgeproof.train.run import write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What a user says of the files: their name (the model's own where empty), the author, the licence."""

    name: str = ""
    author: str = ""
    license: str = ""


@dataclass(frozen=True)
class _Job:
    """What every recipe of one conversion shares."""

    reference: Reference
    preparation: Preparation
    calibration: CalibrationSet
    evidence: Evidence
    stem: str
    max_drop: float
    about: About
    options: Options


def convert(
    reference: Reference,
    recipes: Sequence[Recipe],
    calibration: CalibrationSet,
    evidence: Evidence,
    *,
    out: Path,
    max_drop: float,
    about: About = About(),
    options: Options = DEFAULTS,
) -> Summary:
    """Write `<name>-<recipe>.tflite` for each recipe, verified, with verification.json and .md beside them.

    A file that drops more than `max_drop` points of top-1 is kept as `….rejected.tflite`; an earlier accepted one of
    its name is removed then, so that no stale file passes for a verified one. Raises `DataError` when the
    pictures do not fit the model.
    """
    if evidence.test.preprocessing.input_size != reference.size:
        size = evidence.test.preprocessing.input_size
        raise DataError(f"The pictures are prepared for {size} pixels; the model takes {reference.size}.")
    if evidence.test.labels != reference.labels:
        raise DataError("The pictures' classes are not the model's labels. Give the data the model was trained on.")
    stem = (about.name or reference.name).replace("_", "-")
    if Path(stem).name != stem:
        raise ConfigError(f"--name {stem}: a name, not a path, is expected. Give the folder with --out.")
    folder = writable_folder(out)
    for note in reference.notes:
        logger.info("%s: %s", stem, note)
    preparation = Preparation(
        reference.model, calibration.pixels(), steps=options.steps, estimator=options.estimator, seed=calibration.seed
    )
    job = _Job(reference, preparation, calibration, evidence, stem, max_drop, about, options)
    results = tuple(_export_one(job, recipe, folder) for recipe in recipes)
    summary = Summary(model=stem, max_drop=max_drop, results=results)
    write_text(folder / "verification.md", verification.markdown(summary))
    write_json(folder / "verification.json", summary)
    return summary


def _export_one(job: _Job, recipe: Recipe, folder: Path) -> Result:
    name, labels, evidence = f"{job.stem}-{recipe.name}", job.reference.labels, job.evidence
    flatbuffer = metadata.with_metadata(
        build(recipe, job.preparation, taken=job.options.taken, given=job.options.given),
        name=name,
        description=f"Image classifier of {len(labels)} classes, {recipe.summary}.",
        size=job.reference.size,
        author=job.about.author,
        license=job.about.license,
    )
    unverified = _contract(name, flatbuffer, job, recipe)
    with TemporaryDirectory() as scratch:
        trial = Path(scratch) / f"{name}.tflite"
        trial.write_bytes(_packed(flatbuffer, unverified, labels))
        outputs = verification.outputs([Classifier(trial) for _ in range(os.cpu_count() or 1)], evidence.test)
    found = verification.compare(outputs, evidence.outputs, evidence.test)
    content = _packed(flatbuffer, structs.replace(unverified, verification=found), labels)
    result = verification.judge(
        outputs, evidence, file=f"{name}.tflite", recipe=recipe.name, content=content, max_drop=job.max_drop
    )
    return _keep(result, content, folder, name)


def _keep(result: Result, content: bytes, folder: Path, name: str) -> Result:
    """Write the file under its own name or as rejected, and remove what stands under the other one."""
    good, bad = folder / f"{name}.tflite", folder / f"{name}.rejected.tflite"
    kept, stale = (good, bad) if result.accepted else (bad, good)
    write_bytes(kept, content)
    stale.unlink(missing_ok=True)
    found = result.verification
    logger.info(
        "%s: top-1 %.2f %%, drop %+.2f points, same answers %.2f %%",
        kept.name,
        100 * found.top1,
        found.drop_points,
        100 * found.same_answers,
    )
    return structs.replace(result, file=kept.name)


def _contract(name: str, flatbuffer: bytes, job: _Job, recipe: Recipe) -> Contract:
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
        repairs=job.preparation.steps.names if recipe.rounds else (),
        calibration=_calibration(job) if recipe.calibrates else None,
        provenance={
            **job.reference.provenance,
            "edgeproof": version("edgeproof"),
            "tensorflow": version("tensorflow"),
        },
    )


def _calibration(job: _Job) -> Calibration:
    _, convergence = job.preparation.observed
    movement = convergence.movement[-1] if convergence.movement else None
    return structs.replace(job.calibration.summary, estimator=job.preparation.estimator, movement=movement)


def _packed(flatbuffer: bytes, contract: Contract, labels: tuple[str, ...]) -> bytes:
    files = {LABELS_NAME: labels_text(labels).encode(), CONTRACT_NAME: contracts.encode(contract)}
    return pack(flatbuffer, files)
