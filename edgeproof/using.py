"""The commands that use files, on a device: classify, benchmark."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgeproof import options, session
from edgeproof.runtime.errors import ConfigError


def classify(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="A .tflite file (the shipped one unless given), then pictures, folders, patterns, "
            "or - for a picture or names of pictures on standard input.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many labels a picture.")] = 5,
    min_probability: Annotated[float, typer.Option(min=0, max=1, help="Leave out labels less probable.")] = 0.0,
    labels: Annotated[Path | None, typer.Option(help="Class names, for a file that carries none.")] = None,
    input_range: Annotated[
        str | None, typer.Option(help="What a float file without a contract takes, as -1,1.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Pictures at once; one a core unless given.")] = None,
    copy_to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy each picture into a folder of its label there.")
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Label the pictures that arrive in a folder, until Ctrl-C.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Decode large JPEGs at full size.")] = False,
    untrusted: Annotated[
        bool, typer.Option("--untrusted", help="Run the model in a process with limits of memory and time.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document a picture, a line each.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    quiet: options.Quiet = False,
) -> int:
    """Label pictures, without TensorFlow. Status 1 when some could not be read."""
    session.set_up(quiet)
    from edgeproof import labelling, show, telling, watching
    from edgeproof.runtime import Classifier

    if json and csv:
        raise ConfigError("--json and --csv: give one of them.")
    model, given = labelling.split(paths or [], watched=watch)
    said = options.foreign(labels, input_range)
    with Classifier(
        model, labels=said.labels, input_range=said.input_range, exact=exact, untrusted=untrusted
    ) as classifier:
        session.note(show.assumptions(classifier))
        found = labelling.answers(classifier, given, top=top, threads=threads)
        if watch is not None:
            found = labelling.label(classifier, watching.arrivals(watch), top=top, threads=threads)
        answers = telling.sure(found, min_probability)
        if copy_to is not None:
            answers = telling.copied(answers, copy_to)
        teller = telling.json_lines(model.name) if json else telling.lines(width=telling.terminal_width())
        return 1 if telling.tell(answers, telling.table(top=top) if csv else teller) else 0


def benchmark(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help="Files to compare.")],
    out: Annotated[Path, typer.Option(help="The folder of report.html, report.md and report.json.")] = Path("report"),
    data: Annotated[Path | None, typer.Option(help="A run folder, or test pictures as a folder or zip.")] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="May be repeated; 1 and all cores unless given.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter blocks, 1000 pictures judged.")] = False,
    paced: Annotated[
        float | None, typer.Option(metavar="MS", help="Also time calls that begin MS milliseconds apart.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Also time each operator, run alone.")] = False,
    backends: Annotated[
        bool, typer.Option("--backends", help="Also run every kernel set and interface of LiteRT: minutes.")
    ] = False,
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
        data=data,
        threads=threads,
        quick=quick,
        paced_ms=paced,
        profile=profile,
        backends=backends,
        labels=foreign.labels,
        input_range=foreign.input_range,
        command=shlex.join(["edgeproof", *sys.argv[1:]]),
    )
    show.benchmark(report, out, as_json=json)
