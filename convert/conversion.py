"""The conversion as a whole: export by recipe, describe, verify, and keep or reject."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from edgeproof.convert import graph, metadata, paired, verification
from edgeproof.convert.calibration import CalibrationSet
from edgeproof.convert.export import export
from edgeproof.convert.recipes import Recipe
from edgeproof.convert.reference import Reference
from edgeproof.convert.verification import Result, Summary
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.atomic import writable_folder, write_bytes, write_text
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, Contract
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.labels import text as labels_text
from edgeproof.runtime.modelfile import pack
from edgeproof.train.run import write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evidence:
    """What every export is held against: test pictures, and Keras' outputs on them, of shape (images, classes)."""

    test: LabelledPictures
    outputs: Probabilities


@dataclass(frozen=True)
class About:
    """What a user says of the files: their name (the model's own where empty), the author, the licence."""

    name: str = ""
    author: str = ""
    license: str = ""


def convert(
    reference: Reference,
    recipes: Sequence[Recipe],
    calibration: CalibrationSet,
    evidence: Evidence,
    *,
    out: Path,
    max_drop: float,
    about: About = About(),
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
    folder = writable_folder(out)
    stem = (about.name or reference.name).replace("_", "-")
    for note in reference.notes:
        logger.info("%s: %s", stem, note)
    results = tuple(
        _export_one(reference, recipe, calibration, evidence, folder, stem, max_drop, about) for recipe in recipes
    )
    summary = Summary(model=stem, max_drop=max_drop, results=results)
    write_text(folder / "verification.md", verification.markdown(summary))
    write_json(folder / "verification.json", summary)
    return summary


def _export_one(
    reference: Reference,
    recipe: Recipe,
    calibration: CalibrationSet,
    evidence: Evidence,
    folder: Path,
    stem: str,
    max_drop: float,
    about: About,
) -> Result:
    name = f"{stem}-{recipe.name}"
    flatbuffer = metadata.with_metadata(
        export(reference.model, recipe, calibration.pixels()),
        name=name,
        description=f"Image classifier of {len(reference.labels)} classes, {recipe.summary}.",
        size=reference.size,
        author=about.author,
        license=about.license,
    )
    unverified = _contract(name, flatbuffer, reference, recipe, calibration, evidence)
    with TemporaryDirectory() as scratch:
        trial = Path(scratch) / f"{name}.tflite"
        trial.write_bytes(_packed(flatbuffer, unverified, reference.labels))
        outputs = verification.outputs(trial, evidence.test)
    found = verification.compare(outputs, evidence.outputs, evidence.test)
    content = _packed(flatbuffer, _verified(unverified, found), reference.labels)
    accepted = found.drop_points <= max_drop
    good, bad = folder / f"{name}.tflite", folder / f"{name}.rejected.tflite"
    kept, stale = (good, bad) if accepted else (bad, good)
    write_bytes(kept, content)
    stale.unlink(missing_ok=True)
    logger.info(
        "%s: top-1 %.2f %%, drop %+.2f points, same answers %.2f %%",
        kept.name,
        100 * found.top1,
        found.drop_points,
        100 * found.same_answers,
    )
    return Result(
        file=kept.name,
        recipe=recipe.name,
        size_bytes=len(content),
        sha256=contracts.sha256(content),
        accepted=accepted,
        verification=found,
        paired=paired.compare(outputs, evidence.outputs, evidence.test.classes),
    )


def _contract(
    name: str,
    flatbuffer: bytes,
    reference: Reference,
    recipe: Recipe,
    calibration: CalibrationSet,
    evidence: Evidence,
) -> Contract:
    runner = Runner(flatbuffer)
    return Contract(
        name=name,
        recipe=recipe.name,
        preprocessing=evidence.test.preprocessing,
        labels_sha256=contracts.sha256(labels_text(reference.labels).encode()),
        model_sha256=contracts.sha256(flatbuffer),
        input=runner.input,
        output=runner.output,
        quantisation=graph.quantisation(flatbuffer),
        calibration=calibration.summary if recipe.is_integer else None,
        provenance={
            **reference.provenance,
            "edgeproof": version("edgeproof"),
            "tensorflow": version("tensorflow"),
        },
    )


def _verified(contract: Contract, found: contracts.Verification) -> Contract:
    return msgspec.structs.replace(contract, verification=found)


def _packed(flatbuffer: bytes, contract: Contract, labels: tuple[str, ...]) -> bytes:
    files = {LABELS_NAME: labels_text(labels).encode(), CONTRACT_NAME: contracts.encode(contract)}
    return pack(flatbuffer, files)
