"""One measured file as a part of the report: what it says of itself, its answers, and what was looked at besides."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeproof.benchmarks import backends, profiling
from edgeproof.benchmarks.affinity import cores_for
from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.quality import quality
from edgeproof.benchmarks.report import Backend, Execution, FileReport, Profile
from edgeproof.benchmarks.timing_pictures import Timed, timing_pixels
from edgeproof.runtime import Classifier, ModelError
from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.arena import arena_bytes
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.foreign import Foreign
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labelled import LabelledPictures

log = logging.getLogger(__name__)
# Pictures on which backends are compared, where there are data.
PARITY = 200


@dataclass(frozen=True, slots=True)
class Looked:
    """What is looked at besides speed: pictures to judge by, and whether operators and backends are timed."""

    pictures: LabelledPictures | None
    timed: Timed
    foreign: Foreign
    profile: bool = False
    backends: bool = False


def described(name: str, classifier: Classifier, measurements: tuple[Measurement, ...], looked: Looked) -> FileReport:
    """Put together what there is to say of one file. Raises `ModelError` where it cannot be run."""
    file = classifier.file
    contract = file.contract
    span = (0.0, 255.0) if contract is not None else looked.foreign.input_range
    return FileReport(
        name=name,
        recipe=contract.recipe if contract is not None else "unknown",
        sha256=sha256(file.path.read_bytes()),
        size_bytes=file.size_bytes,
        input_size=classifier.preprocessing.input_size,
        labels=classifier.labels,
        measurements=measurements,
        assumptions=classifier.assumptions,
        verification=contract.verification if contract is not None else None,
        quality=quality(classifier, looked.pictures) if looked.pictures is not None else None,
        arena_mb=arena_bytes(Anatomy(Graph.read(file.flatbuffer))) / 2**20,
        execution=_execution(file.flatbuffer),
        profile=_profile(classifier, looked, span) if looked.profile else None,
        backends=_backends(classifier, looked, span) if looked.backends else (),
    )


def _execution(flatbuffer: bytes) -> Execution:
    found = Runner(flatbuffer).delegation()
    # The only delegate that LiteRT applies by itself.
    return Execution(
        operators=found.operators, delegated=found.delegated, delegate="XNNPACK" if found.delegated else ""
    )


def _profile(classifier: Classifier, looked: Looked, span: tuple[float, float] | None) -> Profile | None:
    """None, with a warning, where an operator does not run apart from the others."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as scratch:
        pictures = Path(scratch) / "pictures.npy"
        np.save(pictures, timing_pixels(classifier, looked.pictures, looked.timed)[:1])
        question = profiling.Question(
            model=str(classifier.file.path), pictures=str(pictures), affinity=cores_for(1), input_range=span
        )
        try:
            return profiling.profile(question)
        except ModelError as error:
            log.warning("No profile of operators: %s", error)
            return None


def _backends(classifier: Classifier, looked: Looked, span: tuple[float, float] | None) -> tuple[Backend, ...]:
    count = PARITY if looked.pictures is not None else len(looked.timed.files)
    pixels = timing_pixels(classifier, looked.pictures, looked.timed, count=count)
    return backends.compare(classifier.file.path, pixels, input_range=span)
