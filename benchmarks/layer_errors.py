"""What int8 loses in each layer, as a strip, where a diagnosis of `edgeproof diagnose` lies beside a model file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeproof.benchmarks.drawing import Theme, figure, legend_above
from edgeproof.benchmarks.sections import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

log = logging.getLogger(__name__)
NAME = "diagnosis.json"
SCHEMA = 1
NAMED = 5
# Less than this, in nats, changes no answer; the axis is logarithmic and begins here.
LEAST = 1e-6


class Layer(msgspec.Struct, frozen=True):
    """What the strip shows of a diagnosed layer, in nats."""

    name: str
    damage: float
    blame: float


class Diagnosis(msgspec.Struct, frozen=True):
    """What the strip shows of a diagnosis; `edgeproof.convert.diagnosis` says what the fields mean."""

    schema: int
    model: str
    layers: tuple[Layer, ...]


def sections(models: Sequence[Path]) -> tuple[Section, ...]:
    """The strip of every diagnosis beside the files, in the folder above, or in `diagnosis` there; mostly none."""
    folders = [place for model in models for place in _near(model.absolute().parent)]
    found = [read(path) for path in dict.fromkeys(folder / NAME for folder in folders) if path.is_file()]
    return tuple(strip(diagnosis) for diagnosis in found if diagnosis is not None and diagnosis.layers)


def read(path: Path) -> Diagnosis | None:
    """A diagnosis, or None, with a warning, for a file that is none."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Diagnosis)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("%s is left out of the page: %s", path, error)
        return None
    if found.schema != SCHEMA:
        log.warning("%s is left out of the page: schema %d, this edgeproof reads %d.", path, found.schema, SCHEMA)
        return None
    return found


def strip(diagnosis: Diagnosis) -> Section:
    """One bar a layer, in the order of computation: how far int8 in it alone moves the answers from float."""
    damages = [max(layer.damage, LEAST) for layer in diagnosis.layers]
    ranked = sorted(range(len(damages)), key=lambda place: -diagnosis.layers[place].blame)[:NAMED]

    def draw(axes: Axes, theme: Theme) -> None:
        others = [place for place in range(len(damages)) if place not in ranked]
        for places, colour, label in ((others, 0, "layer"), (ranked, 3, "most to blame")):
            heights = [damages[place] for place in places]
            axes.bar([place + 1 for place in places], heights, color=theme.colours[colour], label=label)
        axes.set_yscale("log")
        axes.set_ylim(bottom=LEAST)
        axes.set_xlabel("layer, in the order of computation")
        axes.set_ylabel("damage, nats")
        axes.grid(axis="y", color=theme.faint, linewidth=0.6)
        legend_above(axes)

    told = "; ".join(
        f"{place + 1} {diagnosis.layers[place].name} {diagnosis.layers[place].damage:.2g}" for place in ranked
    )
    caption = (
        f"Plain int8 of {diagnosis.model}, layer by layer: the mean divergence of the answers from float ones, in "
        f"nats, when this layer alone is in int8. Most to blame, with the layers around them: {told}."
    )
    alt = f"Bars of {len(damages)} layers, from {min(damages):.2g} to {max(damages):.2g} nats. Most to blame: {told}."
    return Section("Layers in int8", figures=(figure(caption, alt, 2.6, draw),))


def _near(folder: Path) -> tuple[Path, ...]:
    return folder, folder.parent, folder.parent / "diagnosis"
