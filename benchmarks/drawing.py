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
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
MARKERS = "osD^vP"
# Narrow, so that the writing stays legible on a telephone. The dots are those of pictures inside a plot.
WIDTH_IN, DPI = 4.2, 150


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a plot's ground and writing, of its files or parts, and matplotlib's name of those for shares.

    `changes` are the ends of a scale whose middle is the ground: less, more.
    """

    colours: tuple[str, ...]
    ground: str
    ink: str
    faint: str
    shares: str
    changes: tuple[str, str]


LIGHT = Theme(
    colours=(BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY),
    ground="#ffffff",
    ink="#1c2430",
    faint="#d5dae1",
    shares="Blues",
    changes=(BLUE, VERMILION),
)
# The blue of thin lines is hard to see on black, so it changes places with the sky's.
DARK = Theme(
    colours=(SKY, ORANGE, GREEN, VERMILION, PURPLE, BLUE),
    ground="#171c24",
    ink="#e4e9f0",
    faint="#3a4350",
    shares="cividis",
    changes=(SKY, ORANGE),
)

Draw = Callable[["Axes", Theme], None]


def figure(caption: str, alt: str, height_in: float, draw: Draw) -> sections.Figure:
    """Draw an SVG for light and one for dark pages. Raises `ConfigError` where matplotlib is missing."""
    light, dark = (_svg(height_in, draw, theme) for theme in (LIGHT, DARK))
    return sections.Figure(caption=caption, image=light, alt=alt, dark_image=dark)


def stacked_bars(
    axes: Axes, theme: Theme, names: Sequence[str], parts: Mapping[str, Sequence[float]], unit: str
) -> None:
    """One horizontal bar a name, made of parts, with its total behind it."""
    places, left = range(len(names)), np.zeros(len(names))
    for colour, (part, values) in zip(theme.colours, parts.items(), strict=False):
        axes.barh(
            places, values, left=left, height=0.55, color=colour, edgecolor=theme.ground, linewidth=0.8, label=part
        )
        left = left + np.asarray(values)
    for place, total in zip(places, left, strict=True):
        axes.text(total, place, f" {total:#.3g}".rstrip("."), va="center")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.margins(x=0.16)
    axes.set_xlabel(unit)
    axes.grid(axis="x", color=theme.faint, linewidth=0.6)
    legend_above(axes)


def legend_above(axes: Axes, *, columns: int = 3) -> None:
    """Put the legend over the whole figure, where it covers nothing and may be wider than the axes."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=9)


def style(theme: Theme, index: int) -> tuple[str, str]:
    """The colour and the marker of a file, by its place in the report."""
    return theme.colours[index % len(theme.colours)], MARKERS[index % len(MARKERS)]


def _svg(height_in: float, draw: Draw, theme: Theme) -> bytes:
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
        canvas.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()


def _settings(theme: Theme) -> dict[Any, Any]:
    inked = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
    return {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": theme.ground,
        "axes.facecolor": theme.ground,
        # Else each drawing has names of its own inside, and the same report never gives the same page.
        "svg.hashsalt": "edgeproof",
        **dict.fromkeys(inked, theme.ink),
    }
