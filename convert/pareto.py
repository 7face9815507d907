"""What a search tells: which trials no other one beats, a table, a sentence, and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from msgspec import structs

from edgeproof.convert.recipes import Goal
from edgeproof.convert.search import Found
from edgeproof.convert.trials import Trial
from edgeproof.runtime.atomic import replacing, write_text
from edgeproof.train.run import write_json

# Okabe and Ito's colours, told apart by colour-blind readers too.
GOOD, BAD, FRONT = "#009E73", "#D55E00", "#0072B2"


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """The content of search.json. `chosen` is a place in `trials`, None where nothing is good enough."""

    schema: int = 1
    model: str
    objective: str
    max_drop: float
    max_trials: int
    max_minutes: float
    minutes: float
    ended: str
    chosen: int | None
    nearest: int
    trials: tuple[Trial, ...]

    @property
    def sentence(self) -> str:
        """Why the chosen file is chosen, or that there is none and what came nearest."""
        count = f"{len(self.trials)} trial{'s' * (len(self.trials) != 1)} in {self.minutes:.1f} minutes"
        if self.chosen is None:
            return (
                f"No file loses at most {self.max_drop:g} points; the nearest is {self._told(self.nearest)} "
                f"({count}; {self.ended})."
            )
        return f"{self._told(self.chosen)} is chosen, within {self.max_drop:g} points: {self.ended} ({count})."

    def _told(self, number: int) -> str:
        trial = self.trials[number]
        return (
            f"'{trial.name}' with a drop of {trial.drop_points:.2f} points and {trial.same_answers:.1%} of Keras' "
            f"answers on {trial.images} held-out training pictures"
        )


def search_of(model: str, goal: Goal, found: Found, trials: Sequence[Trial]) -> Search:
    """A search's record; `trials` are those found, with what was measured of them since."""
    return Search(
        model=model,
        objective=goal.objective,
        max_drop=goal.max_drop,
        max_trials=goal.max_trials,
        max_minutes=goal.max_minutes,
        minutes=found.minutes,
        ended=found.ended,
        chosen=found.best,
        nearest=found.nearest,
        trials=with_front(trials),
    )


def with_front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The trials, marked where no other has as many of Keras' answers, as few bytes and as little latency.

    Answers stand for top-1: a few more right ones by luck are no better file.
    """
    marks = [not any(_beats(other, trial) for other in trials) for trial in trials]
    return tuple(structs.replace(trial, on_front=mark) for trial, mark in zip(trials, marks, strict=True))


def _beats(one: Trial, other: Trial) -> bool:
    ours, theirs = (
        (-trial.same_answers, trial.size_bytes, trial.latency_ms if trial.latency_ms is not None else 0.0)
        for trial in (one, other)
    )
    return ours != theirs and all(own <= its for own, its in zip(ours, theirs, strict=True))


def write(search: Search, folder: Path) -> None:
    """Write search.json, search.md and pareto.png. Raises `DataError` for a place that cannot be written."""
    write_json(folder / "search.json", search)
    write_text(folder / "search.md", markdown(search))
    _plot(search, folder / "pareto.png")


def markdown(search: Search) -> str:
    """The search as a table for people."""
    lines = [
        f"# Search for {search.model}",
        "",
        search.sentence,
        "",
        f"Objective: {search.objective}. Drop and same answers are against Keras, on training pictures that do not "
        "calibrate; a file that is clearly good or bad is judged on fewer. Latency: the median of one picture, in one "
        "interleaved run.",
        "",
        "| trial | top-1 | Keras | drop, points (95 % interval) | same answers | pictures | size, bytes | latency, ms "
        "| within the limit | Pareto | s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: |",
    ]
    for number, trial in enumerate(search.trials):
        low, high = trial.drop_interval_points
        shown = f"**{trial.name}**" if number == search.chosen else trial.name
        spared = f" ({', '.join(trial.left_in_float)})" if trial.left_in_float else ""
        lines.append(
            f"| {shown}{spared} | {trial.top1:.2%} | {trial.reference_top1:.2%} "
            f"| {trial.drop_points:+.2f} ({low:+.2f} to {high:+.2f}) | {trial.same_answers:.2%} | {trial.images} "
            f"| {trial.size_bytes:,} | {milliseconds(trial)} | {'yes' if trial.accepted else 'no'} "
            f"| {'yes' if trial.on_front else ''} | {trial.seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def milliseconds(trial: Trial) -> str:
    """A trial's latency, or a dash where it was not measured."""
    return f"{trial.latency_ms:.2f}" if trial.latency_ms is not None else "–"


def _plot(search: Search, path: Path) -> None:
    """Draw same answers over size and over latency; a line joins what nothing beats there."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    sizes = [trial.size_bytes / 1e6 for trial in search.trials]
    times = [trial.latency_ms for trial in search.trials if trial.latency_ms is not None]
    panels = [(sizes, "size, MB")] + ([(times, "latency, ms a picture")] if len(times) == len(sizes) else [])
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (costs, label) in zip(axes, panels, strict=True):
        _panel(axis, search, costs)
        axis.set(xlabel=label, xlim=(0, 1.25 * max(costs)))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("same answers as Keras, %")
    figure.suptitle(f"{search.model}: filled points are within {search.max_drop:g} points of top-1", parse_math=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _panel(axis: Axes, search: Search, costs: Sequence[float]) -> None:
    shares = [100 * trial.same_answers for trial in search.trials]
    steps: list[tuple[float, float]] = []
    for cost, share in sorted(zip(costs, shares, strict=True), key=lambda point: (point[0], -point[1])):
        if not steps or share > steps[-1][1]:
            steps.append((cost, share))
    axis.plot(*zip(*steps, strict=True), "-", color=FRONT, alpha=0.5, zorder=1)
    for number, (trial, cost, share) in enumerate(zip(search.trials, costs, shares, strict=True)):
        colour = GOOD if trial.accepted else BAD
        chosen = number == search.chosen
        axis.plot(
            [cost], [share], "*" if chosen else "o", color=colour, fillstyle="full" if trial.accepted else "none",
            markersize=13 if chosen else 7,
        )  # fmt: skip
        axis.annotate(
            trial.name, (cost, share), xytext=(6, -4 if number % 2 else 4), textcoords="offset points", fontsize=8,
            parse_math=False,
        )  # fmt: skip
