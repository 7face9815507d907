"""The commands that judge files: verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeproof import options, session


def verify(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL", help=".tflite files, edgeproof's or another tool's.")
    ],
    against: Annotated[Path, typer.Option(metavar="RUN", help="The run folder whose Keras model is the reference.")],
    max_drop: Annotated[float, typer.Option(help="Fail when a file loses more points of top-1 than this.")] = 5.0,
    labels: Annotated[Path | None, typer.Option(help="Class names, for files that carry none.")] = None,
    input_range: Annotated[str | None, typer.Option(help="For float files without a contract, as -1,1.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Hold files against Keras on a run's test pictures; status 1 past the limit."""
    session.set_up(quiet)
    with session.extra("train"):
        from edgeproof.convert import verification
    from edgeproof import show

    foreign = options.foreign(labels, input_range)
    summary = verification.verify(models, verification.evidence_of(against), max_drop=max_drop, foreign=foreign)
    show.verification(summary, as_json=json)
    verification.gate(summary)
