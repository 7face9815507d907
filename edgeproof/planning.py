"""`edgeproof train --dry-run`: what a training would do, measured on a few pictures and steps, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeproof import session, show

if TYPE_CHECKING:
    from edgeproof.train.config import Config
    from edgeproof.train.plan import Phase, Plan

NAMES = {"head": "1, head", "finetune": "2, finetune"}


def run(settings: Config, limit: int, *, as_json: bool) -> None:
    """Plan a training within a limit of memory in bytes, and print the plan; nothing is written."""
    with session.tensorflow():
        from edgeproof.train import costs, dataset, plan

    survey = dataset.survey(settings.data, size=settings.network.size, seed=settings.seed)
    plan.parts(survey, settings)  # refuses what cannot be trained on before anything is built
    found = plan.make(settings, survey, costs.measure(settings, survey), limit)
    if as_json:
        show.json({"plan": found})
        return
    _print(found, settings.data.source)


def _print(plan: Plan, source: str) -> None:
    from edgeproof.train.memory import in_words

    balance = f"{plan.fewest_in_a_class:,} to {plan.most_in_a_class:,} training pictures each"
    watched = [("validation pictures", f"{plan.validation_pictures:,}")] if plan.validation_pictures else []
    show.table(
        ("plan", source),
        [
            ("training pictures", f"{plan.training_pictures:,}"),
            *watched,
            ("test pictures", f"{plan.test_pictures:,}"),
            ("classes", f"{plan.classes:,} ({balance})"),
            ("sides in pixels", " → ".join(map(str, plan.sizes))),
            ("decoded pictures lie in", plan.pictures_in),
            ("memory", f"{in_words(plan.memory_bytes)} of {in_words(plan.memory_limit_bytes)} allowed"),
            ("disk for caches", in_words(plan.disk_bytes)),
            ("steps", f"{plan.steps:,}"),
            ("reading, evaluation", f"{duration(plan.reading_seconds)}, {duration(plan.evaluation_seconds)}"),
            ("time in all", duration(plan.seconds)),
        ],
    )
    header = ("phase", "epochs", "views", "batch", "steps/epoch", "trained", "frozen", "cache", "time")
    show.table(header, [_row(phase, in_words(phase.cache_bytes)) for phase in plan.phases])
    print("Memory and time are estimates, from a few real steps on this machine as busy as it is now.")
    if not plan.fits:
        print("The estimate is above the limit: give a smaller batch, a smaller network, or a larger --memory-limit.")


def _row(phase: Phase, cache: str) -> tuple[str, ...]:
    counts = (phase.epochs, phase.views, phase.batch, phase.steps_per_epoch)
    parameters = (phase.trainable_parameters, phase.frozen_parameters)
    return (
        NAMES.get(phase.name, phase.name),
        *(f"{count:,}" for count in counts),
        *(f"{count / 1e6:.2f} M" for count in parameters),
        cache,
        duration(phase.seconds),
    )


def duration(seconds: float) -> str:
    """A time for people: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
