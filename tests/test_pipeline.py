"""The whole way by the command line, on real pictures: train, convert, classify, benchmark."""

import csv
import json

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from edgeproof import cli
from edgeproof.runtime import contract as contracts
from edgeproof.runtime import labels, modelfile

pytest.importorskip("tensorflow", reason="needs the train extra (TensorFlow)")
pytestmark = pytest.mark.slow

SMALL = [
    "recipe=plain",
    "network.alpha=0.35",
    "network.weights=bundled",
    "network.size=48",
    "network.dense=64",
    "head.epochs=8",
    "finetune.epochs=1",
    "finetune.batch_norm=frozen",
    "augmentation.flip=false",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder, trained on the digits by the command, with its exports."""
    folder = tmp_path_factory.mktemp("pipeline") / "run"
    settings = [part for setting in SMALL for part in ("--set", setting)]
    assert cli.run(["train", "--data", "digits", "--out", str(folder), *settings, "--quiet"]) == 0
    assert cli.run(["convert", str(folder), "--max-drop", "20", "--name", "digits", "--quiet"]) == 0
    return folder


def test_the_model_learned_and_answers_differ(run):
    assert json.loads((run / "metrics.json").read_text())["top1"] > 0.6
    with np.load(run / "predictions.npz") as arrays:
        assert len(set(arrays["probabilities"].argmax(axis=1).tolist())) == 10


def test_the_run_folder_holds_what_the_design_says(run):
    for name in (
        "config.toml",
        "model.keras",
        "labels.txt",
        "history.csv",
        "metrics.json",
        "test.csv",
        "test.npz",
        "calibration.csv",
        "predictions.npz",
        "data.json",
        "classes.csv",
        "confusion.csv",
        "plots/learning_curves.png",
        "plots/confusion_matrix.png",
        "plots/samples.png",
    ):
        assert (run / name).is_file(), name
    with (run / "history.csv").open() as file:
        assert [row["phase"] for row in csv.DictReader(file)] == ["head"] * 8 + ["finetune"]


def test_float32_gives_keras_answer_on_every_test_picture(run):
    results = json.loads((run / "export" / "verification.json").read_text())["results"]
    found = next(result for result in results if result["recipe"] == "float32")["verification"]
    assert found["images"] == 359
    assert found["different_answers"] <= 1
    assert found["largest_margin_of_a_different_answer"] < 1e-5


def test_a_second_training_of_the_same_settings_says_there_is_nothing_to_do(run, capsys):
    settings = [part for setting in SMALL for part in ("--set", setting)]
    assert cli.run(["train", "--data", "digits", "--out", str(run), *settings]) == 0
    assert "is complete already" in capsys.readouterr().err


def test_other_settings_are_refused(run, capsys):
    assert cli.run(["train", "--data", "digits", "--out", str(run), "--set", "seed=5"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_a_drop_beyond_the_limit_is_refused_with_status_1_and_kept_under_another_name(run, tmp_path, capsys):
    # No file can gain 101 points, so that every file is beyond this limit.
    arguments = ["convert", str(run), "--recipe", "int8", "--max-drop", "-101", "--name", "digits", "--out", tmp_path]
    arguments += ["--repair", "none", "--golden", "none"]
    assert cli.run(list(map(str, arguments))) == 1
    assert "beyond -101 points" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*.tflite")] == ["digits-int8.rejected.tflite"]


def test_verify_finds_what_the_export_found_without_the_data_set(run, capsys):
    exported = run / "export" / "digits-int8.tflite"
    assert cli.run(["verify", str(exported), "--against", str(run), "--max-drop", "20", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["verification"]["results"][0]
    results = json.loads((run / "export" / "verification.json").read_text())["results"]
    assert again == next(result for result in results if result["recipe"] == "int8")


def test_verify_fails_a_file_with_a_swapped_pair_of_labels(run, tmp_path, capsys):
    file = modelfile.read(run / "export" / "digits-float32.tflite")
    swapped = labels.text(("1", "0", *file.labels[2:])).encode()
    contract = structs.replace(file.contract, labels_sha256=contracts.sha256(swapped))
    attachments = {contracts.LABELS_NAME: swapped, contracts.CONTRACT_NAME: contracts.encode(contract)}
    (tmp_path / "swapped.tflite").write_bytes(modelfile.pack(file.flatbuffer, attachments))
    assert cli.run(["verify", str(tmp_path / "swapped.tflite"), "--against", str(run), "--max-drop", "1"]) == 1
    line = capsys.readouterr().err
    assert "swapped.tflite: the drop of " in line
    assert "is beyond 1 points" in line
    assert "likely cause: its labels '1' and '0' are swapped" in line or "'0' and '1' are swapped" in line


def test_the_exported_file_labels_a_picture_of_a_digit(run, tmp_path, capsys):
    with np.load(run / "test.npz") as arrays, np.load(run / "predictions.npz") as found:
        sure = int(found["probabilities"].max(axis=1).argmax())
        Image.fromarray(arrays["stored"][sure]).save(tmp_path / "digit.png")
        expected = str(found["probabilities"][sure].argmax())
    assert cli.run(["classify", str(run / "export" / "digits-int8.tflite"), str(tmp_path / "digit.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == expected


def test_the_benchmark_reports_the_accuracy_that_the_verification_found(run, tmp_path):
    files = [str(run / "export" / f"digits-{recipe}.tflite") for recipe in ("float32", "int8")]
    arguments = ["benchmark", *files, "--data", str(run), "--quick", "--threads", "1", "--out", str(tmp_path)]
    assert cli.run([*arguments, "--quiet"]) == 0
    results = json.loads((run / "export" / "verification.json").read_text())["results"]
    report = json.loads((tmp_path / "report.json").read_text())
    for file, result in zip(report["files"], results, strict=True):
        found = file["quality"]["top1_correct"] / file["quality"]["images"]
        assert found == pytest.approx(result["verification"]["top1"])
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
