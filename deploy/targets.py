"""What a project can be made for: which templates it consists of, and where the model and golden examples go."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from edgeproof.deploy.facts import DTYPES
from edgeproof.runtime.errors import ConfigError


@dataclass(frozen=True)
class Target:
    """A kind of project.

    `parts` are folders of templates, each with the place of its files in the project. `model` is where the model file
    goes; `stored` and `decoded` are folders for the golden pictures as they are and as PPM; "" for nowhere. A `micro`
    target has the graph as an array and names its kernels. `inputs` are the dtypes that its client takes.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    model: str = ""
    stored: str = ""
    decoded: str = ""
    micro: bool = False
    inputs: tuple[str, ...] = DTYPES


_RESOURCES = "classifier/src/sharedTest/resources/golden"
TARGETS = (
    Target(
        "android-kotlin",
        parts=(("android-kotlin", ""),),
        model="classifier/src/main/assets/model.tflite",
        stored=_RESOURCES,
        decoded=_RESOURCES,
    ),
    Target(
        "ios-swift",
        parts=(("ios-swift", ""),),
        model="App/model.tflite",
        stored="Tests/ClassifierTests/golden",
        decoded="Tests/ClassifierTests/golden",
        inputs=("float32", "uint8"),
    ),
    Target("cpp", parts=(("cpp", ""), ("portable-cpp", "")), model="model.tflite", decoded="golden"),
    Target("python", parts=(("python", ""),), model="model.tflite", stored="golden"),
    Target("c-array", parts=(("c-array", ""), ("micro", ""), ("portable-cpp", "")), micro=True),
    Target(
        "arduino",
        parts=(("arduino", ""), ("micro", "classifier"), ("portable-cpp", "classifier")),
        micro=True,
        inputs=("uint8", "int8"),
    ),
)
NAMES = tuple(target.name for target in TARGETS)


def named(name: str) -> Target:
    """The target of a name. Raises `ConfigError` with the choices, and the nearest of them."""
    for target in TARGETS:
        if target.name == name:
            return target
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigError(f"--target {name}: choose one of {', '.join(NAMES)}.{guess}")
