"""The commands that use files, on a device: classify, benchmark."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgeproof import options, session


def classify(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="A .tflite file (the shipped one unless given), then pictures or folders."),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many labels a picture.")] = 5,
    labels: Annotated[Path | None, typer.Option(help="Class names, for a file that carries none.")] = None,
    input_range: Annotated[
        str | None, typer.Option(help="What a float file without a contract takes, as -1,1.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the interpreter.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document a picture, a line each.")] = False,
    quiet: options.Quiet = False,
) -> int:
    """Label pictures, without TensorFlow. Status 1 when some could not be read."""
    session.set_up(quiet)
    from edgeproof import labelling, show

    model, pictures = labelling.split(paths)
    classifier = labelling.open_classifier(model, labels, options.span(input_range) if input_range else None, threads)
    session.note(show.assumptions(classifier))
    found = labelling.classify(classifier, pictures, top=top)
    return 1 if show.predictions(found, model.name, as_json=json) else 0


def benchmark(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help="Files to compare.")],
    out: Annotated[Path, typer.Option(help="The folder of report.html, report.md and report.json.")] = Path("report"),
    data: Annotated[Path | None, typer.Option(help="A run folder, or test pictures as a folder or zip.")] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="May be repeated; 1 and all cores unless given.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter blocks.")] = False,
    labels: Annotated[Path | None, typer.Option(help="Class names, for files that carry none.")] = None,
    input_range: Annotated[str | None, typer.Option(help="For float files without a contract, as -1,1.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure latency, memory and accuracy of model files, without TensorFlow, and write a report."""
    session.set_up(quiet)
    from edgeproof import show
    from edgeproof.benchmarks import benchmarking
    from edgeproof.runtime import testset
    from edgeproof.runtime.foreign import opened

    foreign = options.foreign(labels, input_range)
    first = opened(models[0], foreign, num_threads=1)
    report = benchmarking.benchmark(
        models,
        out=out,
        pictures=testset.load(data, first.preprocessing, first.labels) if data else None,
        data_name=data.name if data else "",
        threads=threads,
        quick=quick,
        labels=foreign.labels,
        input_range=foreign.input_range,
        command=shlex.join(["edgeproof", *sys.argv[1:]]),
    )
    show.benchmark(report, out, as_json=json)
