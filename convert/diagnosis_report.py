"""A diagnosis for people: Markdown, a table for the terminal, and one HTML page without scripts or requests.

Needs jinja2 and matplotlib (`edgeproof[report]`).
"""

from __future__ import annotations

import base64
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from edgeproof.convert import diagnosis_plot
from edgeproof.convert.causes import NEGLIGIBLE
from edgeproof.convert.diagnosis import Diagnosis, Layer
from edgeproof.runtime.atomic import writable_folder, write_bytes, write_text
from edgeproof.train.run import write_json

JSON, MARKDOWN, PLOT, PAGE = "diagnosis.json", "diagnosis.md", "diagnosis.png", "diagnosis.html"
TEMPLATE = "diagnosis.html.jinja"

HEADER = (
    "layer",
    "operator",
    "damage",
    "blame",
    "answers changed",
    "top-1 lost",
    "SQNR, dB",
    "own SQNR, dB",
    "cosine",
    "mean shift",
    "saturated",
    "weights' ratio",
)
SHORT = ("layer", "SQNR", "own", "shift", "changed", "lost", "blame", "cause")

NOTES = (
    "Damage is the mean divergence (Kullback and Leibler, in nats) of the answers from the float ones when the layer "
    "alone is in int8, its weights and its output, and all else is float; answers changed and points of top-1 lost are "
    "those of the same. Blame is the damage, with what equalising the layer's channels would undo in the layers "
    "behind, and without what equalising the layer before would undo here.",
    "SQNR and cosine hold the output in plain int8, with the errors of all layers before, against float; own SQNR has "
    "this layer's errors alone. The weights' ratio is that of the largest weights of its channels, batch norm folded. "
    "Saturated is the share of values beyond the range of the output; the mean shift is what the layer moves its "
    "channels' means by, in their standard deviations.",
)


def summary(diagnosis: Diagnosis) -> str:
    """What plain int8 does to the whole model, and how many layers are to blame."""
    found = diagnosis
    count = sum(layer.blame >= NEGLIGIBLE for layer in found.layers)
    to_blame = {0: "No layer is to blame for more than a negligible part", 1: "One layer is to blame"}
    return (
        f"Plain int8 changes {found.int8_answers_changed:.1%} of the answers on {found.held_out_images} held-out "
        f"training pictures: top-1 {found.float_top1:.1%} in float, {found.int8_top1:.1%} in int8. "
        f"{to_blame.get(count, f'{count} layers are to blame')}."
    )


def markdown(diagnosis: Diagnosis) -> str:
    """The worst layers with cause and remedy, and all layers as a table."""
    lines = [f"# Diagnosis of {diagnosis.model}", "", summary(diagnosis), ""]
    if diagnosis.worst:
        lines += ["## The worst layers", ""]
        lines += [f"{number}. {layer.sentence}" for number, layer in enumerate(diagnosis.worst, 1)]
        lines.append("")
    lines += ["## All layers", "", f"| {' | '.join(HEADER)} |", f"| --- | --- |{' ---: |' * (len(HEADER) - 2)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows(diagnosis)]
    return "\n".join([*lines, "", *(f"{note}\n" for note in NOTES)])


def rows(diagnosis: Diagnosis) -> tuple[tuple[str, ...], ...]:
    """All layers in the order of computation, with the cells of `HEADER`."""
    return tuple(_cells(layer) for layer in diagnosis.layers)


def short_rows(diagnosis: Diagnosis) -> tuple[tuple[str, ...], ...]:
    """The ten worst layers, with the cells of `SHORT`; of 80 columns at most where names have 26."""
    return tuple(
        (
            layer.name if len(layer.name) <= 26 else f"…{layer.name[-25:]}",
            _decibels(layer.sqnr_db),
            _decibels(layer.own_sqnr_db),
            f"{layer.mean_shift:.3f}",
            f"{layer.answers_changed:.1%}",
            f"{layer.top1_lost:+.1f}",
            f"{layer.blame:.4f}",
            layer.cause,
        )
        for layer in diagnosis.ranked[:10]
    )


def write(diagnosis: Diagnosis, out: Path) -> tuple[Path, ...]:
    """Write JSON, Markdown, plot and page into a folder; returns the paths.

    Raises `DataError` when it cannot be written.
    """
    folder = writable_folder(out)
    png = diagnosis_plot.png(diagnosis)
    page = html(diagnosis, png)
    write_bytes(folder / PLOT, png)
    write_text(folder / PAGE, page)
    write_text(folder / MARKDOWN, markdown(diagnosis))
    write_json(folder / JSON, diagnosis)
    return tuple(folder / name for name in (PAGE, MARKDOWN, JSON, PLOT))


def html(diagnosis: Diagnosis, png: bytes) -> str:
    """The page as text, with the plot inside."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("edgeproof.convert").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        diagnosis=diagnosis,
        summary=summary(diagnosis),
        header=HEADER,
        rows=rows(diagnosis),
        worst={layer.operator for layer in diagnosis.worst},
        notes=NOTES,
        alt=diagnosis_plot.told(diagnosis),
        plot="data:image/png;base64," + base64.b64encode(png).decode(),
    )


def _cells(layer: Layer) -> tuple[str, ...]:
    kind = layer.kind if layer.activation == "NONE" else f"{layer.kind} {layer.activation}"
    return (
        layer.name,
        kind,
        f"{layer.damage:.4f}",
        f"{layer.blame:.4f}",
        f"{layer.answers_changed:.1%}",
        f"{layer.top1_lost:+.1f}",
        _decibels(layer.sqnr_db),
        _decibels(layer.own_sqnr_db),
        f"{layer.cosine:.4f}",
        f"{layer.mean_shift:.3f}",
        f"{layer.saturated:.3%}",
        "" if layer.weight_range_ratio is None else f"{layer.weight_range_ratio:.3g}",
    )


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"
