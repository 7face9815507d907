"""How the plots look, on light and on dark pages. Needs matplotlib (`edgeproof[report]`)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.benchmarks import sections
from edgeproof.runtime import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers tell apart, without those that vanish on white or black.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
MARKERS = "osD^vP"
# Narrow, so that the writing stays legible on a telephone.
WIDTH_IN, DPI = 5.4, 150


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a plot's ground and writing, and matplotlib's name of its colours for shares."""

    ground: str
    ink: str
    faint: str
    shares: str


LIGHT = Theme(ground="#ffffff", ink="#1c2430", faint="#d5dae1", shares="Blues")
DARK = Theme(ground="#171c24", ink="#e4e9f0", faint="#3a4350", shares="cividis")

Draw = Callable[["Axes", Theme], None]


def figure(caption: str, alt: str, height_in: float, draw: Draw) -> sections.Figure:
    """Draw once for light and once for dark pages. Raises `ConfigError` where matplotlib is missing."""
    light, dark = (_png(height_in, draw, theme) for theme in (LIGHT, DARK))
    return sections.Figure(caption=caption, png=light, alt=alt, dark_png=dark)


def stacked_bars(
    axes: Axes, theme: Theme, names: Sequence[str], parts: Mapping[str, Sequence[float]], unit: str
) -> None:
    """One horizontal bar a name, made of parts, with its total behind it."""
    places, left = range(len(names)), np.zeros(len(names))
    for colour, (part, values) in zip(COLOURS, parts.items(), strict=False):
        axes.barh(places, values, left=left, height=0.55, color=colour, label=part)
        left = left + np.asarray(values)
    for place, total in zip(places, left, strict=True):
        axes.text(total, place, f" {total:.0f}", va="center")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(unit)
    axes.grid(axis="x", color=theme.faint, linewidth=0.6)
    legend_above(axes)


def legend_above(axes: Axes, *, columns: int = 3) -> None:
    """Put the legend over the plot, where it covers nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, frameon=False, borderaxespad=0)


def _png(height_in: float, draw: Draw, theme: Theme) -> bytes:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("Plots need matplotlib: install edgeproof[report].") from None
    with matplotlib.rc_context(rc=_settings(theme)):
        canvas = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
        axes = canvas.add_subplot()
        axes.set_axisbelow(True)
        draw(axes, theme)
        content = io.BytesIO()
        canvas.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _settings(theme: Theme) -> dict[Any, Any]:
    inked = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
    return {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": theme.ground,
        "axes.facecolor": theme.ground,
        **dict.fromkeys(inked, theme.ink),
    }
