"""The commands that make files, and need TensorFlow: train, convert, diagnose, demo."""

from __future__ import annotations

from json import dumps as json_text
from pathlib import Path
from typing import Annotated

import typer

from edgeproof import options, session


def train(
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    data: Annotated[str | None, typer.Option(help="digits, cifar100, or the path of a folder or zip.")] = None,
    test_data: Annotated[str | None, typer.Option(help="A second path, with the test pictures.")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="mobilenetv2, mobilenetv3small, mobilenetv3large, efficientnetv2b0, or a Keras model file."),
    ] = None,
    settings: options.Settings = None,
    set_: options.Set = None,
    sample_class: Annotated[str, typer.Option("--class", help="The class shown in plots/samples.png.")] = "",
    memory_limit: Annotated[
        str | None,
        typer.Option(help="Such as 2GB; half of the machine's unless given."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and train nothing.")] = False,
    resume: options.Resume = True,
    deterministic: options.Deterministic = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a classifier in two phases on labelled pictures."""
    session.set_up(quiet)
    from edgeproof.train import config, memory

    overrides = [f"data.source={json_text(data)}"] if data is not None else []
    overrides += [f"data.test={json_text(test_data)}"] if test_data is not None else []
    overrides += [f"network.backbone={json_text(backbone)}"] if backbone is not None else []
    chosen = config.load(settings, [*overrides, *(set_ or [])])
    limit = memory.parse(memory_limit) if memory_limit is not None else memory.default()
    if dry_run:
        from edgeproof import planning

        planning.run(chosen, limit, as_json=json)
        return
    with session.tensorflow():
        from edgeproof.train import training

    run = training.train(
        chosen,
        out,
        overwrite=overwrite,
        resume=resume,
        deterministic=deterministic,
        memory=limit,
        sample_class=sample_class,
    )
    from edgeproof import show

    show.training(run, as_json=json)


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
    also: Annotated[
        list[str] | None, typer.Option(help="onnx or openvino: write this format as well; may be repeated.")
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
    resample: options.Resample = "bilinear",
    fit: options.Fit = "stretch",
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
    golden: Annotated[
        str, typer.Option(help="Pictures that travel in the files for `edgeproof replay`: test, drawn or none.")
    ] = "test",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Export a model to verified .tflite files; refuses, with status 1, what drops too much."""
    session.set_up(quiet)
    from edgeproof import exporting
    from edgeproof.convert import examples, recipes

    pictures = examples.source(golden)
    automatic = exporting.is_automatic(recipe or (), repair=repair, estimator=estimator)
    chosen = () if automatic else recipes.named(recipe or recipes.DEFAULT)
    wanted = recipes.options(repair=repair, estimator=estimator, taken=input_, given=output)
    goal = recipes.goal(max_drop=max_drop, objective=objective, max_trials=max_trials, max_minutes=max_minutes)
    source = exporting.Source(
        run_folder=run_folder,
        keras=keras,
        labels=labels,
        data=data,
        test_data=test_data,
        input_range=options.span(input_range),
        resample=resample,
        fit=fit,
        seed=seed,
    )
    place = exporting.place(source, out)
    with session.tensorflow():
        from edgeproof.convert import conversion

        others = exporting.formats(also or (), automatic=automatic)
    given, sample = exporting.opened(source, place, images=calibration_images, own=calibration_data)
    given = exporting.compressed(given, prune=prune, cluster=cluster)
    about = conversion.About(name=name, author=author, license=license_, golden=pictures)
    if automatic:
        exporting.search(given, sample, goal, place, about, wanted, as_json=json)
        return
    exporting.convert(given, chosen, sample, place, about, wanted, max_drop=max_drop, also=others, as_json=json)


def diagnose(
    out: Annotated[Path, typer.Option(help="The folder of diagnosis.html, .md, .json and .png.")],
    run_folder: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run folder of `edgeproof train`.")] = None,
    keras: Annotated[Path | None, typer.Option(help="Any Keras image classifier, instead of RUN.")] = None,
    labels: Annotated[Path | None, typer.Option(help="With --keras: its class names, one a line.")] = None,
    input_range: Annotated[str, typer.Option(help="With --keras: what it takes for bytes 0 and 255.")] = "0,255",
    resample: options.Resample = "bilinear",
    fit: options.Fit = "stretch",
    data: Annotated[str | None, typer.Option(help="With --keras: pictures, as for `edgeproof train`.")] = None,
    test_data: Annotated[str | None, typer.Option(help="With --keras: a second path, with test pictures.")] = None,
    calibration_images: Annotated[int, typer.Option(min=1, help="Training pictures that set int8's ranges.")] = 500,
    held_out_images: Annotated[int, typer.Option(min=20, help="Other training pictures, to try layers on.")] = 256,
    seed: Annotated[int, typer.Option(help="Of the choice of pictures.")] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tell for every layer, by its Keras name, what plain int8 loses in it, why, and what helps."""
    session.set_up(quiet)
    from edgeproof import diagnosing, exporting

    source = exporting.Source(
        run_folder=run_folder,
        keras=keras,
        labels=labels,
        data=data,
        test_data=test_data,
        input_range=options.span(input_range),
        resample=resample,
        fit=fit,
        seed=seed,
    )
    diagnosing.run(source, out, calibration_images=calibration_images, held_out_images=held_out_images, as_json=json)


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo"),
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """The whole way on embedded data: train, convert, verify, classify, benchmark, one report."""
    session.set_up(quiet)
    with session.tensorflow():
        from edgeproof import demonstration

    page = demonstration.run(out, overwrite=overwrite)
    print(f"Report: {page}")
