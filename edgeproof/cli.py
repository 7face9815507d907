"""The command line: parse, call one function, print. A stage is imported inside the function of its verb."""

from __future__ import annotations

import shlex
import sys
from json import dumps as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeproof import __version__, session
from edgeproof.runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeproof.runtime.foreign import Foreign

app = typer.Typer(
    name="edgeproof",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notes on stderr.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left in --out.")]
Settings = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings of the training.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="One setting; may be repeated.")
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"edgeproof {__version__}")
        raise typer.Exit


@app.callback()
def face(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Train an image classifier, ship it to the edge, and prove that what ships is what was trained."""


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    data: Annotated[str | None, typer.Option(help="digits, cifar100, or the path of a folder or zip.")] = None,
    test_data: Annotated[str | None, typer.Option(help="A second path, with the test pictures.")] = None,
    settings: Settings = None,
    set_: Set = None,
    sample_class: Annotated[str, typer.Option("--class", help="The class shown in plots/samples.png.")] = "",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train MobileNetV2 in two phases on labelled pictures."""
    session.set_up(quiet)
    from edgeproof.train import config

    overrides = [f"data.source={json_text(data)}"] if data is not None else []
    overrides += [f"data.test={json_text(test_data)}"] if test_data is not None else []
    chosen = config.load(settings, [*overrides, *(set_ or [])])
    with session.tensorflow():
        from edgeproof.train import training

    run = training.train(chosen, out, overwrite=overwrite, sample_class=sample_class)
    from edgeproof import show

    show.training(run, as_json=json)


@app.command()
def convert(
    run_folder: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run folder of `edgeproof train`.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; RUN/export unless given.")] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="float32, float16, dynamic, weights8, int8, int16x8 or int8-qat; may be repeated. "
            "float32 and int8 unless given. Or auto, alone: the best that keeps within --max-drop."
        ),
    ] = None,
    repair: Annotated[
        str, typer.Option(help="all, none, or some of head,equalisation,bias,rounding for integer recipes.")
    ] = "all",
    input_: Annotated[str | None, typer.Option("--input", help="uint8, int8 or float32; the recipe's own.")] = None,
    output: Annotated[str | None, typer.Option(help="uint8, int8 or float32; the recipe's own.")] = None,
    estimator: Annotated[str, typer.Option(help="Of ranges: min-max, percentile or mse.")] = "min-max",
    max_drop: Annotated[float, typer.Option(help="Refuse a file that loses more points of top-1 than this.")] = 5.0,
    objective: Annotated[str, typer.Option(help="With --recipe auto: latency or size.")] = "latency",
    max_trials: Annotated[int, typer.Option(min=1, help="With --recipe auto: files to try at most.")] = 12,
    max_minutes: Annotated[float, typer.Option(min=0, help="With --recipe auto: time to try them in.")] = 15.0,
    prune: Annotated[float, typer.Option(min=0, help="Share of each kernel's weights to make zero first.")] = 0.0,
    cluster: Annotated[int, typer.Option(min=0, help="Values that each kernel may hold, made so first.")] = 0,
    keras: Annotated[Path | None, typer.Option(help="Any Keras image classifier, instead of RUN.")] = None,
    labels: Annotated[Path | None, typer.Option(help="With --keras: its class names, one a line.")] = None,
    input_range: Annotated[str, typer.Option(help="With --keras: what it takes for bytes 0 and 255.")] = "0,255",
    data: Annotated[str | None, typer.Option(help="With --keras: pictures, as for `edgeproof train`.")] = None,
    test_data: Annotated[str | None, typer.Option(help="With --keras: a second path, with test pictures.")] = None,
    calibration_images: Annotated[int, typer.Option(min=1, help="Training pictures that set int8's ranges.")] = 500,
    calibration_data: Annotated[
        Path | None, typer.Option(help="Your own calibration pictures: a folder, zip, .npy or .npz.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of calibration pictures.")] = 0,
    name: Annotated[str, typer.Option(help="The files' name; the model's own unless given.")] = "",
    author: Annotated[str, typer.Option(help="Written into the files, for other tools to show.")] = "",
    license_: Annotated[str, typer.Option("--license", help="Likewise: the terms of the model.")] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export a model to verified .tflite files; refuses, with status 1, what drops too much."""
    session.set_up(quiet)
    from edgeproof import exporting
    from edgeproof.convert import recipes

    automatic = exporting.is_automatic(recipe or (), repair=repair, estimator=estimator)
    chosen = () if automatic else recipes.named(recipe or recipes.DEFAULT)
    wanted = recipes.options(repair=repair, estimator=estimator, taken=input_, given=output)
    goal = recipes.goal(max_drop=max_drop, objective=objective, max_trials=max_trials, max_minutes=max_minutes)
    source = exporting.Source(run_folder, keras, labels, data, test_data, _range(input_range), seed)
    place = exporting.place(source, out)
    with session.tensorflow():
        from edgeproof.convert import conversion

    given, sample = exporting.opened(source, place, images=calibration_images, own=calibration_data)
    given = exporting.compressed(given, prune=prune, cluster=cluster)
    about = conversion.About(name=name, author=author, license=license_)
    if automatic:
        exporting.search(given, sample, goal, place, about, wanted, as_json=json)
        return
    exporting.convert(given, chosen, sample, place, about, wanted, max_drop=max_drop, as_json=json)


@app.command()
def diagnose(
    out: Annotated[Path, typer.Option(help="The folder of diagnosis.html, .md, .json and .png.")],
    run_folder: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run folder of `edgeproof train`.")] = None,
    keras: Annotated[Path | None, typer.Option(help="Any Keras image classifier, instead of RUN.")] = None,
    labels: Annotated[Path | None, typer.Option(help="With --keras: its class names, one a line.")] = None,
    input_range: Annotated[str, typer.Option(help="With --keras: what it takes for bytes 0 and 255.")] = "0,255",
    data: Annotated[str | None, typer.Option(help="With --keras: pictures, as for `edgeproof train`.")] = None,
    test_data: Annotated[str | None, typer.Option(help="With --keras: a second path, with test pictures.")] = None,
    calibration_images: Annotated[int, typer.Option(min=1, help="Training pictures that set int8's ranges.")] = 500,
    held_out_images: Annotated[int, typer.Option(min=20, help="Other training pictures, to try layers on.")] = 256,
    seed: Annotated[int, typer.Option(help="Of the choice of pictures.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell for every layer, by its Keras name, what plain int8 loses in it, why, and what helps."""
    session.set_up(quiet)
    from edgeproof import diagnosing, exporting

    source = exporting.Source(run_folder, keras, labels, data, test_data, _range(input_range), seed)
    diagnosing.run(source, out, calibration_images=calibration_images, held_out_images=held_out_images, as_json=json)


@app.command()
def verify(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL", help=".tflite files, edgeproof's or another tool's.")
    ],
    against: Annotated[Path, typer.Option(metavar="RUN", help="The run folder whose Keras model is the reference.")],
    max_drop: Annotated[float, typer.Option(help="Fail when a file loses more points of top-1 than this.")] = 5.0,
    labels: Annotated[Path | None, typer.Option(help="Class names, for files that carry none.")] = None,
    input_range: Annotated[str | None, typer.Option(help="For float files without a contract, as -1,1.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Hold files against Keras on a run's test pictures; status 1 past the limit."""
    session.set_up(quiet)
    with session.extra("train"):
        from edgeproof.convert import verification
    from edgeproof import show

    foreign = _foreign(labels, input_range)
    summary = verification.verify(models, verification.evidence_of(against), max_drop=max_drop, foreign=foreign)
    show.verification(summary, as_json=json)
    verification.gate(summary)


@app.command()
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
    quiet: Quiet = False,
) -> int:
    """Label pictures, without TensorFlow. Status 1 when some could not be read."""
    session.set_up(quiet)
    from edgeproof import labelling, show

    model, pictures = labelling.split(paths)
    classifier = labelling.open_classifier(model, labels, _range(input_range) if input_range else None, threads)
    session.note(show.assumptions(classifier))
    found = labelling.classify(classifier, pictures, top=top)
    return 1 if show.predictions(found, model.name, as_json=json) else 0


@app.command()
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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure latency, memory and accuracy of model files, without TensorFlow, and write a report."""
    session.set_up(quiet)
    from edgeproof import show
    from edgeproof.benchmarks import benchmarking
    from edgeproof.runtime import testset
    from edgeproof.runtime.foreign import opened

    foreign = _foreign(labels, input_range)
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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo"),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """The whole way on embedded data: train, convert, verify, classify, benchmark, one report."""
    session.set_up(quiet)
    with session.tensorflow():
        from edgeproof import demonstration

    page = demonstration.run(out, overwrite=overwrite)
    print(f"Report: {page}")


def main() -> None:
    """Run the command line. Exit status 0 done, 1 a gate or some inputs failed, 2 what was given cannot be used."""
    raise SystemExit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; known errors become one line on stderr."""
    return session.status_of(lambda: app(arguments or ["--help"], prog_name="edgeproof", standalone_mode=False))


def _foreign(labels: Path | None, input_range: str | None) -> Foreign:
    from edgeproof.runtime import labels as label_files
    from edgeproof.runtime.foreign import Foreign

    return Foreign(label_files.read(labels) if labels else None, _range(input_range) if input_range else None)


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--input-range {text}: expected two numbers, such as -1,1 or 0,255.") from None
    if not low < high:
        raise ConfigError(f"--input-range {text}: the first number must be below the second.")
    return low, high
