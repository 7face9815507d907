"""The recipes: by the name that a user knows, what the weights and activations of the exported file are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from edgeproof.convert.ranges import ESTIMATORS, Estimator
from edgeproof.runtime.errors import ConfigError

Dtype = Literal["uint8", "int8", "float32"]
Objective = Literal["latency", "size"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to export. `alias` is what LiteRT's quantiser calls it, `input` and `output` what it takes and gives.

    `calibrates` says whether pictures set the ranges of its activations, `rounds` whether its weights become int8.
    """

    name: str
    alias: str
    summary: str
    calibrates: bool
    rounds: bool
    input: Dtype
    output: Dtype


FLOAT32 = Recipe("float32", "", "weights and activations in float32", False, False, "float32", "float32")
FLOAT16 = Recipe("float16", "", "weights in float16, activations in float32", False, False, "float32", "float32")
DYNAMIC = Recipe(
    "dynamic",
    "dynamic_wi8_afp32",
    "int8 weights per channel, activations quantised while it runs",
    False,
    True,
    "float32",
    "float32",
)
WEIGHTS8 = Recipe(
    "weights8",
    "weight_only_wi8_afp32",
    "int8 weights per channel, computed in float32",
    False,
    True,
    "float32",
    "float32",
)
INT8 = Recipe("int8", "static_wi8_ai8", "int8 weights per channel, int8 activations", True, True, "uint8", "float32")
INT16X8 = Recipe(
    "int16x8", "static_wi8_ai16", "int8 weights per channel, int16 activations", True, True, "uint8", "float32"
)
INT8_QAT = Recipe(
    "int8-qat",
    "",
    "int8 weights per channel, int8 activations, from quantisation-aware training",
    True,
    True,
    "uint8",
    "float32",
)
RECIPES = {each.name: each for each in (FLOAT32, FLOAT16, DYNAMIC, WEIGHTS8, INT8, INT16X8, INT8_QAT)}
ALIASES = {each.alias: each.name for each in RECIPES.values() if each.alias}
# What a conversion makes unless told otherwise.
DEFAULT = ("float32", "int8")


STEPS = ("head", "equalisation", "bias", "rounding")
ENDS = ("uint8", "int8", "float32")


@dataclass(frozen=True, slots=True)
class Steps:
    """The repairs that integer recipes get: all unless told otherwise; with none, what a stock converter makes."""

    head: bool = True
    equalisation: bool = True
    bias: bool = True
    rounding: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The steps taken, by name."""
        return tuple(name for name in STEPS if getattr(self, name))


@dataclass(frozen=True, slots=True)
class Options:
    """Repairs, the estimator of ranges, and what files take and give: each recipe's own where None."""

    steps: Steps = Steps()
    estimator: Estimator = "min-max"
    taken: Dtype | None = None
    given: Dtype | None = None

    def choice(self, recipe: Recipe) -> Choice:
        """A recipe with these repairs and this estimator."""
        return Choice(recipe, self.steps, self.estimator)


DEFAULTS = Options()
NO_STEPS = Steps(head=False, equalisation=False, bias=False, rounding=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """All that decides a file's weights and arithmetic. `in_float` are operators of the float graph int8 spares."""

    recipe: Recipe
    steps: Steps = Steps()
    estimator: Estimator = "min-max"
    in_float: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.in_float and self.recipe != INT8:
            raise ValueError(f"Expected operators in float with int8 alone, got {self.recipe.name}.")

    @property
    def name(self) -> str:
        """What a table calls it, as `int8 repaired, mse, 4 in float`; repairs that are not all taken are named."""
        words = self.recipe.name
        if self.recipe.rounds and self.steps == Steps():
            words += " repaired"
        elif self.recipe.rounds and self.steps != NO_STEPS:
            words += f" with {'+'.join(self.steps.names)}"
        if self.recipe.calibrates and self.estimator != "min-max":
            words += f", {self.estimator}"
        return words + (f", {len(self.in_float)} in float" if self.in_float else "")


@dataclass(frozen=True, slots=True)
class Goal:
    """The best file by `objective` among those that lose at most `max_drop` points, within a budget."""

    max_drop: float
    objective: Objective = "latency"
    max_trials: int = 12
    max_minutes: float = 15.0


def options(
    *, repair: str = "all", estimator: str = "min-max", taken: str | None = None, given: str | None = None
) -> Options:
    """The options as a user writes them. Raises `ConfigError`, with what is known, for anything else."""
    wanted = {"all": STEPS, "none": ()}.get(repair, tuple(part.strip() for part in repair.split(",")))
    for step in wanted:
        _known("--repair", step, ("all", "none", *STEPS))
    if "rounding" in wanted and "bias" not in wanted:
        raise ConfigError("--repair rounding: it goes with bias. Give --repair bias,rounding.")
    for option, value in (("--input", taken), ("--output", given)):
        if value is not None:
            _known(option, value, ENDS)
    _known("--estimator", estimator, ESTIMATORS)
    steps = Steps(**{step: step in wanted for step in STEPS})
    return Options(steps, cast("Estimator", estimator), cast("Dtype | None", taken), cast("Dtype | None", given))


def goal(*, max_drop: float, objective: str, max_trials: int, max_minutes: float) -> Goal:
    """The goal as a user writes it. Raises `ConfigError` for an unknown objective."""
    _known("--objective", objective, get_args(Objective))
    return Goal(max_drop, cast("Objective", objective), max_trials, max_minutes)


def named(names: Sequence[str]) -> tuple[Recipe, ...]:
    """The recipes of these names or aliases, each once. Raises `ConfigError`, with the nearest name, for others."""
    known = [ALIASES.get(name, name) for name in names]
    for name in known:
        if name not in RECIPES:
            _known("--recipe", name, (*RECIPES, *ALIASES), shown=(*RECIPES, "auto"))
    return tuple(RECIPES[name] for name in dict.fromkeys(known))


def _known(option: str, value: str, known: Sequence[str], shown: Sequence[str] | None = None) -> None:
    if value in known:
        return
    close = difflib.get_close_matches(value, known, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else f"Known are {', '.join(shown or known)}."
    raise ConfigError(f"{option} {value}: unknown{' recipe' if option == '--recipe' else ''}. {hint}")
