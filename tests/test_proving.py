"""`edgeproof verify` and `edgeproof evaluate` by the command line: statuses, lines, JSON, and a width of 80 columns."""

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeproof.runtime import testset

pytestmark = pytest.mark.usefixtures("narrow")

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"


@pytest.fixture
def pictures(tiny_pictures, tmp_path):
    """The test pictures of the tiny model, as a run keeps them."""
    testset.write(tmp_path / "test.npz", tiny_pictures)
    return tmp_path / "test.npz"


@pytest.fixture
def run_folder(tiny_pictures, tiny_model_path, tmp_path):
    """A complete run whose reference are the tiny file's own answers."""
    pytest.importorskip("scipy", reason="needs the train extra (scipy)")
    from edgeproof.runtime import Classifier, labels
    from edgeproof.train.run import Run

    folder = tmp_path / "run"
    folder.mkdir()
    run = Run(folder)
    run.model.write_bytes(b"a model")
    run.labels.write_text(labels.text(tiny_pictures.labels))
    run.metrics.write_text("{}")
    run.write_pictures(tiny_pictures)
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    run.write_predictions(Classifier(tiny_model_path).probabilities(pixels), tiny_pictures)
    return folder


def test_files_within_the_gates_are_printed_in_80_columns_with_status_0(
    edgeproof, run_folder, tiny_model_path, tiny_int8_path
):
    status, out, err = edgeproof("verify", tiny_model_path, tiny_int8_path, "--against", run_folder)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "Keras on 40 test pictures: top-1 90.00%" in out
    assert "A  tiny-float32.tflite\nB  tiny-int8.tflite" in out
    assert "Limit: a drop of 5 points." in out


def test_a_file_past_a_gate_has_status_1_one_line_and_its_cause_in_the_report(
    edgeproof, run_folder, tiny_pictures, make_flatbuffer, make_packed, tmp_path
):
    from edgeproof.runtime import Classifier
    from edgeproof.train.run import Run

    # Uneven, so that swapped labels cannot do what swapped channels do.
    weights = np.array([[2, -1, -1], [-0.4, 2, -1.6], [-1.3, -1, 2.3], [0, 0, 0]], np.float32) / 32
    for name, given in (("straight", weights), ("turned", weights[:, ::-1].copy())):
        content = make_packed(make_flatbuffer(quantised=False, weights=given), quantised=False)
        (tmp_path / f"{name}.tflite").write_bytes(content)
    run = Run(run_folder)
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    run.write_predictions(Classifier(tmp_path / "straight.tflite").probabilities(pixels), tiny_pictures)
    status, out, err = edgeproof("verify", tmp_path / "turned.tflite", "--against", run_folder)
    assert status == 1
    assert err.count("\n") == 1
    assert err.startswith("edgeproof: turned.tflite: the drop of ")
    assert "is beyond 5 points" in err
    assert "likely cause: its channels are in the order BGR" in err
    assert max(map(len, out.splitlines())) <= 80
    assert out.index("cause 1, channel-order") < out.index("cause 2, labels")


def test_what_is_printed_as_json_fits_the_published_schema(edgeproof, run_folder, tiny_model_path, pictures):
    jsonschema = pytest.importorskip("jsonschema")
    _, out, _ = edgeproof("verify", tiny_model_path, "--against", run_folder, "--significance", 0.05, "--json")
    jsonschema.validate(json.loads(out), json.loads((SCHEMAS / "verification.schema.json").read_text()))
    assert json.loads(out)["verification"]["significance"] == 0.05
    _, out, _ = edgeproof("evaluate", tiny_model_path, "--data", pictures, "--json")
    jsonschema.validate(json.loads(out), json.loads((SCHEMAS / "evaluation.schema.json").read_text()))


def test_what_forty_pictures_cannot_show_is_in_doubt_and_doubt_may_pass(edgeproof, run_folder, tiny_model_path):
    given = ("verify", tiny_model_path, "--against", run_folder, "--max-drop", 1, "--significance", 0.05)
    status, _, err = edgeproof(*given)
    assert status == 1
    assert "is not shown to be within 1 points" in err
    assert edgeproof(*given, "--doubt", "pass")[0] == 0


def test_evaluate_judges_a_file_without_what_the_train_extra_brings(edgeproof, tiny_model_path, pictures, monkeypatch):
    for name in ("tensorflow", "keras", "scipy", "sklearn"):
        monkeypatch.setitem(sys.modules, name, None)
    status, out, err = edgeproof("evaluate", tiny_model_path, "--data", pictures)
    assert (status, err) == (0, "")
    assert "90.00%" in out
    assert max(map(len, out.splitlines())) <= 80


def test_evaluate_prints_a_line_for_each_class_as_csv(edgeproof, tiny_model_path, pictures, tiny_pictures):
    _, out, _ = edgeproof("evaluate", tiny_model_path, "--data", pictures, "--csv")
    assert [row["label"] for row in csv.DictReader(io.StringIO(out))] == list(tiny_pictures.labels)


def test_evaluate_judges_a_run_by_the_answers_that_it_keeps(edgeproof, run_folder, tiny_model_path):
    status, out, _ = edgeproof("evaluate", run_folder, "--json")
    assert status == 0
    of_run = json.loads(out)["evaluation"]
    of_file = json.loads(edgeproof("evaluate", tiny_model_path, "--data", run_folder, "--json")[1])["evaluation"]
    assert {**of_run, "model": ""} == {**of_file, "model": ""}


def test_a_keras_model_is_the_reference_and_is_evaluated_too(edgeproof, colour_folder, tmp_path, monkeypatch):
    """Trained on nothing: only that both see the same pictures, ranges and labels."""
    keras = pytest.importorskip("keras", reason="needs the train extra (TensorFlow)")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.GlobalAveragePooling2D()])
    model.add(keras.layers.Dense(4, "softmax", use_bias=False))
    weights = np.array([[2, -1, -1, 0.3], [-1, 2, -1, 0.3], [-1, -1, 2, 0.3]], np.float32) * 8
    model.set_weights([weights])
    model.save(tmp_path / "m.keras")
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\ngrey\n")
    options = ("--labels", tmp_path / "labels.txt", "--data", colour_folder)
    status, out, _ = edgeproof("evaluate", tmp_path / "m.keras", *options, "--input-range", "0,1", "--json")
    assert status == 0
    assert json.loads(out)["evaluation"]["top1"] > 0.5
    import tensorflow

    content = tensorflow.lite.TFLiteConverter.from_keras_model(model).convert()
    (tmp_path / "m.tflite").write_bytes(content)
    edgeproof("--version")  # takes away what the converter printed
    given = ("verify", tmp_path / "m.tflite", "--against", tmp_path / "m.keras", *options)
    status, out, _ = edgeproof(*given, "--reference-range", "0,1", "--input-range", "0,1", "--json")
    assert status == 0
    assert json.loads(out)["verification"]["results"][0]["verification"]["same_answers"] == 1
    status, _, err = edgeproof(*given, "--reference-range", "0,1", "--input-range=-1,1")
    assert status == 1
    assert "likely cause: it takes 0 to 1 for the bytes 0 to 255, not -1 to 1" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "{model}", "--against", "{tmp}/none"], "no folder there"),
        (["verify", "{model}", "--against", "{model}"], "needs --labels FILE.txt and --data PATH as well"),
        (["verify", "{model}", "--against", "{run}", "--doubt", "maybe"], "expected fail or pass"),
        (["verify", "{model}", "--against", "{run}", "--significance", "5"], "a chance between 0 and 1"),
        (["verify", "{model}", "--against", "{run}", "--min-agreement", "101"], "a percentage from 0 to 100"),
        (["verify", "{model}", "--against", "{run}", "--reference-range", "0,1"], "a range is for a .keras or .h5"),
        (["evaluate", "{model}"], "needs --data PATH"),
        (["evaluate", "{model}", "--data", "{tmp}/none"], "no such file or folder"),
    ],
)
def test_wrong_use_has_status_2_and_one_line(arguments, message, edgeproof, run_folder, tiny_model_path, tmp_path):
    places = {"model": tiny_model_path, "run": run_folder, "tmp": tmp_path}
    status, out, err = edgeproof(*(argument.format(**places) for argument in arguments))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_run_whose_answers_are_of_another_model_is_refused(edgeproof, run_folder, tiny_model_path, tmp_path):
    shutil.copytree(run_folder, tmp_path / "other")
    (tmp_path / "other" / "model.keras").write_bytes(b"another")
    status, _, err = edgeproof("verify", tiny_model_path, "--against", tmp_path / "other")
    assert status == 2
    assert "does not belong to model.keras" in err
