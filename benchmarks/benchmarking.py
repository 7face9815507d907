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

from edgeproof.benchmarks import layer_errors, timing_pictures, wrong_answers
from edgeproof.benchmarks import report as reports
from edgeproof.benchmarks.affinity import cores_for
from edgeproof.benchmarks.blocks import BATCH, MIN_CALLS, Job, Measurement
from edgeproof.benchmarks.described import Looked, described
from edgeproof.benchmarks.environment import environment, load_average
from edgeproof.benchmarks.kept import NAME, Kept, plan_of
from edgeproof.benchmarks.markdown import markdown
from edgeproof.benchmarks.measure import measure
from edgeproof.benchmarks.page import write_page
from edgeproof.benchmarks.quality import check_labels
from edgeproof.benchmarks.report import Report
from edgeproof.benchmarks.sections import Section
from edgeproof.benchmarks.timing_pictures import Timed, timing_pixels
from edgeproof.runtime import Classifier, ConfigError, DataError
from edgeproof.runtime.atomic import writable_folder, write_text
from edgeproof.runtime.foreign import Foreign, opened
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pool import usable_cores

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: rounds over all files (an even number), calls a block, seconds of each size of batches.

    `warmup` is how many leading calls may be dropped at most; `judged` how many of the pictures are judged, None for
    all.
    """

    rounds: int
    warmup: int
    calls: int
    throughput_s: float
    judged: int | None = None


FULL = Effort(rounds=8, warmup=50, calls=100, throughput_s=0.25)
QUICK = Effort(rounds=4, warmup=20, calls=MIN_CALLS, throughput_s=0.05, judged=1000)
OFFLINE = (1, 8, BATCH)


def benchmark(
    models: Sequence[Path],
    *,
    out: Path,
    pictures: LabelledPictures | None,
    data_name: str,
    data: Path | None = None,
    threads: Sequence[int] | None = None,
    quick: bool = False,
    paced_ms: float | None = None,
    profile: bool = False,
    backends: bool = False,
    labels: Sequence[str] | None = None,
    input_range: tuple[float, float] | None = None,
    command: str = "",
    extra: Sequence[Section] = (),
) -> Report:
    """Measure files on this machine; write report.json, report.md and, with `edgeproof[report]`, report.html.

    `threads` are 1 and all usable cores unless given; `pictures=None` times the files' golden examples, or synthetic
    pictures, and judges no answers; `data` is where the pictures come from, if that holds picture files. `paced_ms`
    times calls with pauses as well, `profile` each operator, `backends` every way to run a file. `labels` and
    `input_range` are for the files without a contract. A run that was cut short is resumed where `out` holds its
    blocks. Raises `ModelError` for a file that cannot be run, `DataError` for pictures of other labels or a folder that
    cannot be written, and `ConfigError` for no files, a file given twice, threads below 1 or a pace of 0.
    """
    counts, names = _checked_threads(threads), short_names(models)
    if paced_ms is not None and not paced_ms > 0:
        raise ConfigError(f"--paced {paced_ms:g}: must be milliseconds above 0, such as 33 for 30 pictures a second.")
    foreign = Foreign(tuple(labels) if labels is not None else None, input_range)
    machine, folder, effort = environment(), writable_folder(out), QUICK if quick else FULL
    classifiers = [opened(model, foreign, num_threads=max(counts)) for model in models]
    _check_pictures(pictures, classifiers, data_name)
    timed = timing_pictures.chosen(classifiers, pictures, data)
    measured, kept = _measured(classifiers, pictures, timed, counts, effort, foreign, paced_ms, folder)
    judged = _part(pictures, effort.judged)
    looked = Looked(judged, timed, foreign, profile=profile, backends=backends)
    parts = zip(names, classifiers, measured, strict=True)
    report = Report(
        data_name=data_name,
        synthetic_pictures=timed.source == "synthetic",
        images=len(judged) if judged is not None else 0,
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=machine,
        files=tuple(described(name, classifier, own, looked) for name, classifier, own in parts),
        pictures=timed.source,
        stage_files=timed.described,
        quick=quick,
        paced_ms=paced_ms,
        load_after=load_average(),
        resumed_blocks=kept.resumed,
    )
    write(report, folder, extra=(*_more(report, classifiers, judged), *extra))
    kept.clear()
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


def _more(report: Report, classifiers: Sequence[Classifier], judged: LabelledPictures | None) -> tuple[Section, ...]:
    """What the page shows beside the report: pictures, and a diagnosis that lies near a file."""
    layers = layer_errors.sections([classifier.file.path for classifier in classifiers])
    return (*wrong_answers.sections(report, classifiers, judged), *layers)


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


def _part(pictures: LabelledPictures | None, limit: int | None) -> LabelledPictures | None:
    """Pictures at even distances, `limit` at most: labels mostly come in order."""
    if pictures is None or limit is None or len(pictures) <= limit:
        return pictures
    return pictures.take(np.linspace(0, len(pictures) - 1, limit).astype(np.int64))


def _measured(
    classifiers: Sequence[Classifier],
    pictures: LabelledPictures | None,
    timed: Timed,
    counts: Sequence[int],
    effort: Effort,
    foreign: Foreign,
    paced_ms: float | None,
    folder: Path,
) -> tuple[list[tuple[Measurement, ...]], Kept]:
    """The measurements of every file, one a number of threads, and what kept their blocks meanwhile."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as scratch:
        files = _saved(timed.files, Path(scratch))
        jobs = []
        for index, classifier in enumerate(classifiers):
            pixels = Path(scratch) / f"{index}.npy"
            np.save(pixels, timing_pixels(classifier, pictures, timed))
            said = foreign.of(classifier.file)
            jobs += [
                Job(
                    model=str(classifier.file.path),
                    pictures=str(pixels),
                    threads=threads,
                    warmup=effort.warmup,
                    calls=effort.calls,
                    throughput_s=effort.throughput_s,
                    batches=OFFLINE,
                    files=files,
                    paced_ms=paced_ms,
                    affinity=cores_for(threads),
                    labels=said.labels,
                    input_range=said.input_range,
                )
                for threads in counts
            ]
        kept = Kept(folder / NAME, plan_of(jobs, effort.rounds))
        if kept.resumed:
            log.warning("%d blocks of a run that was cut short are taken as they are.", kept.resumed)
        done = measure(jobs, rounds=effort.rounds, kept=kept)
    return [done[start : start + len(counts)] for start in range(0, len(done), len(counts))], kept


def _saved(files: Sequence[bytes], folder: Path) -> tuple[str, ...]:
    for number, content in enumerate(files):
        (folder / f"picture-{number}").write_bytes(content)
    return tuple(str(folder / f"picture-{number}") for number in range(len(files)))
