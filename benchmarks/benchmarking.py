"""Model files to a report: measure them, judge their answers, write it all down."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from edgeproof.benchmarks import report as reports
from edgeproof.benchmarks.blocks import MIN_CALLS, Job, Measurement
from edgeproof.benchmarks.environment import environment
from edgeproof.benchmarks.markdown import markdown
from edgeproof.benchmarks.measure import measure
from edgeproof.benchmarks.page import write_page
from edgeproof.benchmarks.quality import check_labels, quality
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Section
from edgeproof.benchmarks.timing_pictures import timing_pixels
from edgeproof.runtime import Classifier, ConfigError, DataError
from edgeproof.runtime.atomic import writable_folder, write_text
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.foreign import Foreign, opened
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pool import usable_cores

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: rounds over all files (an even number), calls a block, seconds of batches."""

    rounds: int
    warmup: int
    calls: int
    throughput_s: float


FULL = Effort(rounds=4, warmup=10, calls=100, throughput_s=1.0)
QUICK = Effort(rounds=2, warmup=3, calls=MIN_CALLS, throughput_s=0.2)


def benchmark(
    models: Sequence[Path],
    *,
    out: Path,
    pictures: LabelledPictures | None,
    data_name: str,
    threads: Sequence[int] | None = None,
    quick: bool = False,
    labels: Sequence[str] | None = None,
    input_range: tuple[float, float] | None = None,
    command: str = "",
    extra: Sequence[Section] = (),
) -> Report:
    """Measure files on this machine; write report.json, report.md and, with `edgeproof[report]`, report.html.

    `threads` are 1 and all usable cores unless given; `pictures=None` times synthetic pictures and judges no
    answers; `labels` and `input_range` are for the files without a contract. Raises `ModelError` for a file
    that cannot be run, `DataError` for pictures of other labels or a folder that cannot be written, and
    `ConfigError` for no files, a file given twice, or threads below 1.
    """
    counts, names = _checked_threads(threads), short_names(models)
    foreign = Foreign(tuple(labels) if labels is not None else None, input_range)
    machine, folder = environment(), writable_folder(out)
    classifiers = [opened(model, foreign, num_threads=max(counts)) for model in models]
    _check_pictures(pictures, classifiers, data_name)
    measured = _measured(classifiers, pictures, counts, QUICK if quick else FULL, foreign)
    parts = zip(names, classifiers, measured, strict=True)
    report = Report(
        data_name=data_name,
        synthetic_pictures=pictures is None,
        images=len(pictures) if pictures is not None else 0,
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=machine,
        files=tuple(_described(name, classifier, own, pictures) for name, classifier, own in parts),
    )
    write(report, folder, extra=extra)
    return report


def write(report: Report, folder: Path, *, extra: Sequence[Section] = ()) -> None:
    """Write report.json, report.md and report.html into `folder`; without its extra the last is left out."""
    reports.write(report, folder / "report.json")
    write_text(folder / "report.md", markdown(report))
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        log.warning("report.html was left out: %s not found. Install edgeproof[report].", " and ".join(missing))
        return
    write_page(report, folder / "report.html", extra=extra)


def short_names(models: Sequence[Path]) -> tuple[str, ...]:
    """The shortest ends of the paths that tell them apart. Raises `ConfigError` for none, or one twice."""
    if not models:
        raise ConfigError("No model files were given. Give at least one .tflite file.")
    paths = [Path(model).absolute() for model in models]
    if len(set(paths)) < len(paths):
        raise ConfigError("A model file was given twice. Give each file once.")
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return tuple("/".join(path.parts[-depth:]) for path in paths)


def _checked_threads(threads: Sequence[int] | None) -> tuple[int, ...]:
    counts = tuple(sorted(set(threads if threads is not None else (1, usable_cores()))))
    if not counts or counts[0] < 1:
        raise ConfigError(f"Threads must be numbers of at least 1, found {list(counts)}. Give --threads 1.")
    return counts


def _check_pictures(pictures: LabelledPictures | None, classifiers: Sequence[Classifier], data_name: str) -> None:
    """Refuse unfit pictures before minutes of measuring."""
    if pictures is None:
        return
    if not len(pictures):
        raise DataError(f"{data_name} holds no pictures. Give a folder with pictures of every class.")
    for classifier in classifiers:
        check_labels(classifier, pictures)


def _measured(
    classifiers: Sequence[Classifier],
    pictures: LabelledPictures | None,
    counts: Sequence[int],
    effort: Effort,
    foreign: Foreign,
) -> list[tuple[Measurement, ...]]:
    """The measurements of every file, one a number of threads."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as scratch:
        jobs = []
        for index, classifier in enumerate(classifiers):
            pixels = Path(scratch) / f"{index}.npy"
            np.save(pixels, timing_pixels(classifier, pictures))
            said = foreign.of(classifier.file)
            jobs += [_job(classifier.file.path, pixels, threads, effort, said) for threads in counts]
        done = measure(jobs, rounds=effort.rounds)
    return [done[start : start + len(counts)] for start in range(0, len(done), len(counts))]


def _job(model: Path, pixels: Path, threads: int, effort: Effort, said: Foreign) -> Job:
    return Job(
        model=str(model),
        pictures=str(pixels),
        threads=threads,
        warmup=effort.warmup,
        calls=effort.calls,
        throughput_s=effort.throughput_s,
        labels=said.labels,
        input_range=said.input_range,
    )


def _described(
    name: str,
    classifier: Classifier,
    measurements: tuple[Measurement, ...],
    pictures: LabelledPictures | None,
) -> FileReport:
    file = classifier.file
    return FileReport(
        name=name,
        recipe=file.contract.recipe if file.contract is not None else "unknown",
        sha256=sha256(file.path.read_bytes()),
        size_bytes=file.size_bytes,
        input_size=classifier.preprocessing.input_size,
        labels=classifier.labels,
        measurements=measurements,
        assumptions=classifier.assumptions,
        verification=file.contract.verification if file.contract is not None else None,
        quality=quality(classifier, pictures) if pictures is not None else None,
    )
