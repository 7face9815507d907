"""The recipes: by the name that a user knows, what the weights and activations of the exported file are."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from edgeproof.runtime.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to export. `is_integer` means weights and activations in int8, pictures and answers in uint8."""

    name: str
    summary: str
    is_integer: bool


FLOAT32 = Recipe("float32", "weights and activations in float32", is_integer=False)
INT8 = Recipe("int8", "int8 weights per channel, int8 activations, uint8 in and out", is_integer=True)
RECIPES = {recipe.name: recipe for recipe in (FLOAT32, INT8)}


def named(names: Sequence[str]) -> tuple[Recipe, ...]:
    """The recipes of these names, each once. Raises `ConfigError`, with the nearest name, for an unknown one."""
    for name in names:
        if name not in RECIPES:
            close = difflib.get_close_matches(name, RECIPES, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"Known are {', '.join(RECIPES)}."
            raise ConfigError(f"--recipe {name}: unknown recipe. {hint}")
    return tuple(RECIPES[name] for name in dict.fromkeys(names))
