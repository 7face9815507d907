"""The commands that judge files: verify, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeproof import options, session


def verify(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL", help=".tflite files, edgeproof's or another tool's.")
    ],
    against: Annotated[
        Path, typer.Option(metavar="RUN|MODEL.keras", help="A run folder, or a .keras or .h5 model: the reference.")
    ],
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Other test pictures than the run's: folder, zip or run.")
    ] = None,
    max_drop: Annotated[float, typer.Option(help="Fail when a file loses more points of top-1 than this.")] = 5.0,
    min_agreement: Annotated[
        float | None, typer.Option(help="Fail below this percentage of same answers; 99 for float32 unless given.")
    ] = None,
    significance: Annotated[
        float | None, typer.Option(help="As 0.05: judge the drop by its interval of 1 - this.")
    ] = None,
    doubt: Annotated[
        str, typer.Option(help="fail or pass: with --significance, where --max-drop is inside the interval.")
    ] = "fail",
    labels: Annotated[Path | None, typer.Option(help="Class names of MODEL.keras, and of files without any.")] = None,
    reference_range: Annotated[str, typer.Option(help="What MODEL.keras takes for the bytes 0 and 255.")] = "0,255",
    input_range: Annotated[str | None, typer.Option(help="For float files without a contract, as -1,1.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Hold files against Keras on test pictures; status 1 past a gate, with the likely cause."""
    session.set_up(quiet)
    from edgeproof import proving, verdicts

    with session.extra("train"):
        from edgeproof.convert import verification

        limits = proving.gates(max_drop, min_agreement, significance, doubt)
        reference = proving.Reference(against, data, labels, reference_range)
        summary = proving.verify(models, reference, limits, labels=labels, input_range=input_range)
    verdicts.verification(summary, as_json=json)
    verification.gate(summary)


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="A run folder, a .keras, .h5 or .tflite file.")],
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Test pictures: folder, zip or run; a run has its own.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Class names, for a model that carries none.")] = None,
    input_range: Annotated[
        str | None, typer.Option(help="What a model without a contract takes for the bytes 0 and 255.")
    ] = None,
    table: Annotated[bool, typer.Option("--csv", help="Print a line for each class, as CSV.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Judge one model on test pictures, class by class; a .tflite file without TensorFlow."""
    session.set_up(quiet)
    from edgeproof import proving, verdicts

    found = proving.evaluate(model, data, labels=labels, input_range=input_range)
    verdicts.evaluation(found, as_json=json, as_csv=table)


def replay(
    model: Annotated[Path | None, typer.Argument(metavar="MODEL", help="The shipped file unless given.")] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your application's answers, as JSON lines or CSV.")
    ] = None,
    extract: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the pictures there, and stop.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run the pictures in a file again, or judge your application's answers to them; names the mistake."""
    session.set_up(quiet)
    from edgeproof import replaying

    replaying.run(model, answers=answers, extract=extract, as_json=json)
