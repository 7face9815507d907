"""`--recipe auto` as a whole: hold pictures out, search, time what was tried, convert the best, write it all down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from msgspec import structs

from edgeproof.convert import conversion, pareto, sensitivity, trials
from edgeproof.convert.calibration import CalibrationSet
from edgeproof.convert.conversion import About
from edgeproof.convert.inputs import Inputs
from edgeproof.convert.pareto import Search
from edgeproof.convert.recipes import DEFAULTS, INT8, Choice, Goal, Options
from edgeproof.convert.search import Candidate, Found, candidates, search
from edgeproof.convert.simulation import Simulation
from edgeproof.convert.trials import HeldOut, Trial
from edgeproof.convert.verification import Summary
from edgeproof.convert.workshop import Workshop
from edgeproof.runtime.atomic import writable_folder
from edgeproof.runtime.errors import VerificationError
from edgeproof.runtime.graph import Graph

logger = logging.getLogger(__name__)

# Medians in ms of some flatbuffers, from one interleaved run.
Latency = Callable[[Sequence[bytes]], Sequence[float]]
# Each operator is run by itself, and all behind it, on so many pictures: enough to rank them.
RANKING_IMAGES = 200


def convert(
    given: Inputs,
    calibration: CalibrationSet,
    goal: Goal,
    *,
    out: Path,
    latency: Latency | None = None,
    about: About | None = None,
    options: Options = DEFAULTS,
    more: Sequence[Candidate] = (),
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Search, Summary | None]:
    """Search by held-out training pictures, and convert the best choice as `conversion.convert` does.

    `more` are candidates that are tried behind the repaired int8 ones. search.json, search.md and pareto.png go
    beside the file. Where nothing is good enough there is no summary, and earlier accepted files of the recipes that
    were tried are removed, so that none passes for a result. Raises `DataError` for too few pictures.
    """
    started, folder, about = clock(), writable_folder(out), about or About()
    stem, workshop = conversion.stem_of(given.reference, about), conversion.bench(given.reference, calibration, options)
    held_out = trials.hold_out(
        given.reference,
        given.train,
        without={*calibration.pictures.hashes, *given.evidence.test.hashes},
        seed=calibration.seed,
    )
    waiting = candidates(goal.objective, cache(lambda: worst_first(workshop, held_out)), more)
    found = search(
        waiting, lambda choice: _attempt(choice, workshop, held_out, goal, clock), goal, clock=clock, started=started
    )
    told = pareto.search_of(stem, goal, found, _timed(found, workshop, latency))
    pareto.write(told, folder)
    logger.info("%s: %s", stem, told.sentence)
    if found.best is None:
        for trial in found.trials:
            (folder / f"{stem}-{trial.recipe}.tflite").unlink(missing_ok=True)
        return told, None
    summary = conversion.convert(
        given.reference,
        [found.choices[found.best]],
        calibration,
        given.evidence,
        out=folder,
        max_drop=goal.max_drop,
        about=about,
        workshop=workshop,
    )
    return told, summary


def gate(found: Search) -> None:
    """Raise `VerificationError` when nothing that was tried is good enough."""
    if found.chosen is None:
        raise VerificationError(f"{found.sentence} Allow a larger --max-drop, or more trials and minutes.")


def worst_first(workshop: Workshop, held_out: HeldOut) -> tuple[int, ...]:
    """The operators of the equalised float graph by how far answers move when each alone is in int8, worst first."""
    choice, pictures = Choice(INT8), held_out.pictures.take(range(min(RANKING_IMAGES, len(held_out.pictures))))
    simulation = Simulation(workshop.preparation(choice).graph, Graph.read(workshop.flatbuffer(choice)))
    pixels = pictures.preprocessing.finished(pictures.stored[:])
    damages, _ = sensitivity.alone(simulation, sensitivity.HeldOut(pixels, pictures.classes))
    return tuple(sorted(damages, key=lambda operator: -damages[operator].mean))


def _attempt(choice: Choice, workshop: Workshop, held_out: HeldOut, goal: Goal, clock: Callable[[], float]) -> Trial:
    begun = clock()
    trial = trials.attempt(choice, workshop.flatbuffer(choice), held_out, max_drop=goal.max_drop)
    whole = structs.replace(trial, left_in_float=workshop.spared(choice), seconds=clock() - begun)
    logger.info(
        "%s: drop %+.2f points, same answers %.2f %% of %d held-out pictures, %s",
        whole.name,
        whole.drop_points,
        100 * whole.same_answers,
        whole.images,
        "within the limit" if whole.accepted else "beyond the limit",
    )
    return whole


def _timed(found: Found, workshop: Workshop, latency: Latency | None) -> tuple[Trial, ...]:
    if latency is None:
        return found.trials
    measured = latency([workshop.flatbuffer(choice) for choice in found.choices])
    return tuple(structs.replace(trial, latency_ms=each) for trial, each in zip(found.trials, measured, strict=True))
