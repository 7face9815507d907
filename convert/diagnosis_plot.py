"""The plot of a diagnosis: noise along the layers as lines, and below it the damage that each does alone as bars."""

from __future__ import annotations

import io
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgeproof.convert.causes import NEGLIGIBLE
from edgeproof.convert.diagnosis import Diagnosis, Layer

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
# The layers that the plot has room to name.
NAMED = 5
LEAST_SHOWN = NEGLIGIBLE / 200


def png(diagnosis: Diagnosis) -> bytes:
    """The plot as a PNG."""
    figure = Figure(figsize=(10, 6.2), layout="constrained")
    noise, bars = figure.subplots(2, 1, sharex=True)
    _draw_noise(noise, diagnosis)
    _draw_damage(bars, diagnosis)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110, metadata={"Software": None})
    return target.getvalue()


def told(diagnosis: Diagnosis) -> str:
    """The plot in words, for who cannot see it."""
    worst = "; ".join(f"{layer.name} {layer.blame:.3f}" for layer in diagnosis.ranked[:NAMED])
    return f"SQNR of each layer's output as lines, and the damage that each does alone as bars. Most blame: {worst}."


def _draw_noise(axes: Axes, diagnosis: Diagnosis) -> None:
    lines = (
        ("all layers before in int8 too", [layer.sqnr_db for layer in diagnosis.layers], BLUE, "o-"),
        ("this layer alone in int8", [layer.own_sqnr_db for layer in diagnosis.layers], GREEN, "s:"),
    )
    for label, values, colour, style in lines:
        known = [(place, value) for place, value in enumerate(values) if value is not None]
        axes.plot(*zip(*known, strict=True), style, color=colour, markersize=3, linewidth=1.2, label=label)
    for place, layer in _named(diagnosis):
        if layer.sqnr_db is not None:
            axes.plot(place, layer.sqnr_db, "o", color=ORANGE, markersize=7, zorder=3)
    axes.set_ylabel("SQNR of the output, dB")
    axes.set_title(f"Plain int8 of {diagnosis.model}, layer by layer", parse_math=False)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", framealpha=0.8)


def _draw_damage(axes: Axes, diagnosis: Diagnosis) -> None:
    worst = {layer.operator for _, layer in _named(diagnosis)}
    heights = [max(layer.damage, LEAST_SHOWN) for layer in diagnosis.layers]
    colours = [ORANGE if layer.operator in worst else BLUE for layer in diagnosis.layers]
    axes.bar(range(len(heights)), heights, color=colours, bottom=0)
    axes.set_yscale("log")
    axes.set_ylim(LEAST_SHOWN, max(*heights, NEGLIGIBLE) * 100)
    axes.axhline(NEGLIGIBLE, color="grey", linestyle="--", linewidth=0.8)
    axes.text(len(heights) - 0.5, NEGLIGIBLE, "negligible below", ha="right", va="bottom", color="grey", fontsize=8)
    for rank, (place, layer) in enumerate(sorted(_named(diagnosis), key=lambda pair: pair[0])):
        right = place > 0.6 * len(heights)
        axes.annotate(
            layer.name,
            (place, max(layer.damage, LEAST_SHOWN)),
            xytext=(place + (-1.5 if right else 1.5), 0.94 - 0.08 * rank),
            textcoords=("data", "axes fraction"),
            ha="right" if right else "left",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": "grey", "linewidth": 0.6},
            parse_math=False,
        )
    axes.set_ylabel("damage alone, nats")
    axes.set_xlabel("operators in the order of computation")
    axes.grid(axis="y", alpha=0.3)


def _named(diagnosis: Diagnosis) -> Iterable[tuple[int, Layer]]:
    """The worst layers with their places on the axis."""
    places = {layer.operator: place for place, layer in enumerate(diagnosis.layers)}
    return [(places[layer.operator], layer) for layer in diagnosis.worst[:NAMED]]
