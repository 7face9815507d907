"""The command line: what goes to which stream, and how every wrong use ends."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

needs_tensorflow = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the train extra (TensorFlow)")


@pytest.fixture
def red(tmp_path):
    """A picture of one colour that the tiny model knows."""
    path = tmp_path / "red.png"
    Image.new("RGB", (20, 10), (200, 40, 40)).save(path)
    return path


def test_help_names_every_command(edgeproof):
    status, out, _ = edgeproof()
    assert status == 0
    for verb in ("train", "convert", "diagnose", "verify", "replay", "classify", "benchmark", "demo"):
        assert f"\n  {verb} " in out


def test_version_is_the_installed_one(edgeproof):
    from edgeproof import __version__

    assert edgeproof("--version") == (0, f"edgeproof {__version__}\n", "")


def test_classify_prints_the_label_and_its_probability(edgeproof, tiny_model_path, red):
    status, out, err = edgeproof("classify", tiny_model_path, red, "--top", 2)
    assert (status, err) == (0, "")
    assert out.startswith(f"{red}: red ")
    assert out.count("%") == 2


def test_classify_in_json_is_one_document_a_picture(edgeproof, tiny_model_path, red):
    status, out, _ = edgeproof("classify", tiny_model_path, red, red, "--json")
    documents = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [document["schema"] for document in documents] == [1, 1]
    assert documents[0]["image"] == str(red)
    assert documents[0]["predictions"][0]["label"] == "red"
    assert sum(one["probability"] for one in documents[0]["predictions"]) == pytest.approx(1, abs=1e-4)


def test_a_folder_is_labelled_whole_and_a_bad_picture_stops_nothing(edgeproof, tiny_model_path, tmp_path, red):
    folder = tmp_path / "pictures"
    (folder / "inner").mkdir(parents=True)
    red.rename(folder / "inner" / "red.png")
    (folder / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (9, 9), (40, 40, 200)).save(folder / "zz.png")
    status, out, _ = edgeproof("classify", tiny_model_path, folder)
    broken, inner, last = out.splitlines()
    assert status == 1
    assert "cannot be decoded" in broken
    assert "inner/red.png: red " in inner
    assert "zz.png: blue " in last


def test_the_shipped_model_is_taken_where_none_is_given(edgeproof, red):
    from edgeproof import models

    status, out, _ = edgeproof("classify", red, "--json")
    assert status == 0
    assert json.loads(out)["model"] == models.CLASSIFIER


def test_another_tools_file_needs_labels_and_a_range_and_says_what_it_assumes(
    edgeproof, tiny_flatbuffer, tmp_path, red
):
    model = tmp_path / "foreign.tflite"
    model.write_bytes(tiny_flatbuffer)
    names = tmp_path / "names.txt"
    names.write_text("red\ngreen\nblue\ngrey\n")
    assert edgeproof("classify", model, red)[0] == 2
    assert "--input-range" in edgeproof("classify", model, red, "--labels", names)[2]
    status, out, err = edgeproof("classify", model, red, "--labels", names, "--input-range", "0,255")
    assert status == 0
    assert f"{red}: red " in out
    assert "assuming channels in the order RGB" in err


@needs_tensorflow
def test_a_search_is_shown_within_80_columns(capsys):
    from edgeproof import show
    from edgeproof.convert.pareto import Search
    from edgeproof.convert.trials import Trial

    trial = Trial(
        name="int8 repaired, percentile",
        recipe="int8",
        repairs=(),
        estimator="percentile",
        left_in_float=(),
        size_bytes=12_345_678,
        images=6000,
        reference_top1=0.8,
        top1=0.7,
        drop_points=10.0,
        drop_interval_points=(5.0, 15.0),
        same_answers=1.0,
        accepted=False,
        seconds=1.0,
        latency_ms=123.456,
        on_front=True,
    )
    found = Search(
        model="m",
        objective="latency",
        max_drop=0.5,
        max_trials=12,
        max_minutes=15,
        minutes=1.0,
        ended="done",
        chosen=0,
        nearest=0,
        trials=(trial,),
    )
    show.search(found, None, Path("out"), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "> int8 repaired, percentile" in line)
    assert "123.46" in row
    assert max(map(len, lines[: lines.index(row) + 1])) <= 80
    show.search(found, None, Path("out"), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["search"]["chosen"], document["verification"]) == (1, 0, None)


WRONG_USES = {
    "no such picture": (["classify", "{model}", "{tmp}/none.png"], "no such file"),
    "an empty folder": (["classify", "{model}", "{tmp}/empty"], "no pictures in this folder"),
    "no pictures": (["classify", "{model}"], "no pictures were given"),
    "no such model": (["classify", "{tmp}/none.tflite", "{red}"], "No such file"),
    "a text file named .tflite": (["classify", "{tmp}/text.tflite", "{red}"], "is no TFLite model"),
    "a damaged model": (["classify", "{tmp}/flipped.tflite", "{red}"], "does not match its checksum"),
    "a truncated model": (["classify", "{tmp}/cut.tflite", "{red}"], "cut off or damaged"),
    "labels that do not match": (["classify", "{model}", "{red}", "--labels", "{tmp}/two.txt"], "4 outputs"),
    "a bad range": (["classify", "{model}", "{red}", "--input-range", "1"], "expected two numbers"),
    "an unknown option": (["classify", "{model}", "{red}", "--tip", "3"], "No such option: --tip"),
    "an unknown command": (["clasify", "{red}"], "Did you mean 'classify'?"),
    "a benchmark of a text file": (["benchmark", "{tmp}/text.tflite"], "is no TFLite model"),
    "an unknown setting": (["train", "--out", "{tmp}/run", "--set", "head.epoch=3"], "Did you mean 'epochs'?"),
    "a setting of the wrong type": (["train", "--out", "{tmp}/run", "--set", "head.epochs=many"], "head.epochs"),
    "an unknown recipe": (["convert", "{tmp}/empty", "--recipe", "int9"], "Did you mean 'int8'?"),
    "auto among others": (["convert", "{tmp}/empty", "--recipe", "auto", "--recipe", "int8"], "give it alone"),
    "auto with repairs": (["convert", "{tmp}/empty", "--recipe", "auto", "--repair", "bias"], "leave out --repair"),
    "an unknown objective": (["convert", "{tmp}/empty", "--objective", "sise"], "Did you mean 'size'?"),
}


@pytest.mark.parametrize("case", WRONG_USES)
def test_a_wrong_use_ends_with_status_2_and_one_line(case, edgeproof, tiny_model_path, tiny_model_bytes, red, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tflite").write_text("this is a text file, and no model at all")
    (tmp_path / "flipped.tflite").write_bytes(_flip_one_bit(tiny_model_bytes, at=600))
    (tmp_path / "cut.tflite").write_bytes(tiny_model_bytes[:-200])
    (tmp_path / "two.txt").write_text("a\nb\n")
    arguments, message = WRONG_USES[case]
    places = {"tmp": tmp_path, "model": tiny_model_path, "red": red}
    status, out, err = edgeproof(*(argument.format(**places) for argument in arguments))
    assert (status, out) == (2, "")
    assert err.startswith("edgeproof: ")
    assert err.count("\n") == 1
    assert message in err


@needs_tensorflow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "{tmp}/one", "--out", "{tmp}/run"], "one class only"),
        (["train", "--data", "{tmp}/empty", "--out", "{tmp}/run"], "no pictures in it"),
        (["train", "--data", "{tmp}/none", "--out", "{tmp}/run"], "no such file or folder"),
        (["train", "--data", "digits", "--out", "{tmp}/file/run"], "no folder that can be written"),
        (["convert", "{tmp}/empty"], "no training there"),
        (["convert", "{tmp}/empty", "--keras", "x.keras"], "either a run folder, or --keras"),
        (["diagnose", "--out", "{tmp}/new"], "either a run folder, or --keras"),
        (
            ["convert", "{tmp}/empty", "--resample", "bicubic", "--test-data", "x"],
            "empty brings its own labels, pictures and preprocessing. Leave out --test-data and --resample, or",
        ),
        (["convert", "--keras", "x.keras", "--resample", "bicubc"], "'bicubc' is not one of 'nearest', 'bilinear', "),
        (["diagnose", "{tmp}/empty", "--out", "{tmp}/file/new"], "no folder that can be written"),
    ],
)
def test_training_and_export_refuse_with_status_2_and_one_line(arguments, message, edgeproof, red, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "one" / "a").mkdir(parents=True)
    red.rename(tmp_path / "one" / "a" / "red.png")
    status, out, err = edgeproof(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_without_tensorflow_training_says_which_extra_brings_it(edgeproof, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith("edgeproof.train.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    status, _, err = edgeproof("train", "--out", tmp_path / "run")
    assert status == 2
    assert "pip install 'edgeproof[train]'" in err


@pytest.mark.slow
def test_benchmark_writes_its_report_and_prints_tables(edgeproof, tiny_model_path, tmp_path):
    data = tmp_path / "data"
    for label, colour in (("red", (200, 40, 40)), ("green", (40, 200, 40)), ("blue", (40, 40, 200))):
        (data / label).mkdir(parents=True)
        noise = np.random.default_rng(0).integers(-20, 20, (8, 8, 3))
        Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(data / label / "1.png")
    status, out, _ = edgeproof(
        "benchmark", tiny_model_path, "--data", data, "--quick", "--threads", 1, "--out", tmp_path / "report"
    )
    assert status == 0
    assert "100.0 %" in out
    assert json.loads((tmp_path / "report" / "report.json").read_text())["images"] == 3


@needs_tensorflow
@pytest.mark.slow
def test_diagnose_prints_the_worst_layers_of_any_keras_model_and_writes_its_report(edgeproof, colour_folder, tmp_path):
    for needed in ("litert_quantizer", "jinja2"):
        pytest.importorskip(needed)
    import keras

    keras.utils.set_random_seed(0)
    row = [keras.layers.Conv2D(6, 3, activation="relu", name="sees"), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((16, 16, 3)), *row, keras.layers.Dense(4, "softmax", name="answers")])
    model.save(tmp_path / "model.keras")
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\ngrey\n")
    given = ["--keras", tmp_path / "model.keras", "--labels", tmp_path / "labels.txt", "--data", colour_folder]
    counts = ["--calibration-images", 24, "--held-out-images", 20]
    out = tmp_path / "diagnosis"
    status, printed, _ = edgeproof("diagnose", *given, *counts, "--out", out)
    assert status == 0
    assert max(map(len, printed.splitlines()[:-1])) <= 80
    assert "sees" in printed
    assert "Plain int8 changes" in printed
    written = {path.name for path in out.iterdir()}
    assert written == {"calibration.csv", *(f"diagnosis.{form}" for form in ("html", "json", "md", "png"))}
    status, printed, _ = edgeproof("diagnose", *given, *counts, "--out", out, "--json")
    assert status == 0
    assert json.loads(printed)["diagnosis"] == json.loads((out / "diagnosis.json").read_text())


def _flip_one_bit(content: bytes, *, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


def test_replay_runs_the_pictures_in_the_shipped_file(edgeproof):
    status, out, err = edgeproof("replay")
    assert (status, err) == (0, "")
    assert "16 of 16 as expected" in out
    assert out.endswith("Sound: these are the answers of the exported file.\n")


def test_replay_names_the_mistake_in_an_applications_answers(edgeproof, tmp_path):
    status, out, _ = edgeproof("replay", "--extract", tmp_path / "golden")
    assert status == 0
    assert "16 pictures and expected.csv" in out
    header, *rows = (tmp_path / "golden" / "expected.csv").read_text().splitlines()
    labels = header.split(",")
    turned = [labels[0], *labels[2:], labels[1]]
    (tmp_path / "answers.csv").write_text("\n".join([",".join(turned), *rows]))
    status, out, err = edgeproof("replay", "--answers", tmp_path / "answers.csv", "--json")
    found = json.loads(out)["replay"]
    assert status == 1
    assert (found["sound"], found["fault"]["id"]) == (False, "labels")
    assert err.count("\n") == 1
    assert "stand under other labels" in err


def test_replay_refuses_a_file_without_pictures(edgeproof, tiny_model_path):
    status, _, err = edgeproof("replay", tiny_model_path)
    assert status == 2
    assert "holds no golden examples" in err
