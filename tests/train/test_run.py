import csv
import json

import numpy as np
import pytest

from edgeproof.runtime import DataError
from edgeproof.train import config
from edgeproof.train.run import Run, open_complete, table, write_json


@pytest.fixture
def run(tmp_path, tiny_pictures):
    """A run folder with pictures and a stand-in for a model."""
    found = Run(tmp_path / "run")
    found.write_pictures(tiny_pictures)
    found.model.write_bytes(b"a model")
    return found


@pytest.fixture
def outputs(tiny_pictures):
    return np.random.default_rng(0).random((len(tiny_pictures), 4), np.float32)


def test_pictures_are_read_as_they_were_written(run, tiny_pictures):
    found = run.read_pictures()
    assert (found.names, found.hashes, found.labels) == (
        tiny_pictures.names,
        tiny_pictures.hashes,
        tiny_pictures.labels,
    )
    np.testing.assert_array_equal(found.stored, tiny_pictures.stored)


def test_the_list_of_test_pictures_names_path_label_and_hash(run, tiny_pictures):
    with (run.folder / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == list(tiny_pictures.names)
    assert rows[0]["label"] == tiny_pictures.labels[tiny_pictures.classes[0]]
    assert rows[0]["sha256"] == tiny_pictures.hashes[0]


def test_predictions_are_read_for_their_model_and_pictures(run, outputs, tiny_pictures):
    run.write_predictions(outputs, tiny_pictures)
    np.testing.assert_array_equal(run.read_predictions(tiny_pictures), outputs)


def test_predictions_of_another_model_or_of_other_pictures_are_not_taken(run, outputs, tiny_pictures):
    assert run.read_predictions(tiny_pictures) is None
    run.write_predictions(outputs, tiny_pictures)
    assert run.read_predictions(tiny_pictures.take(range(39))) is None
    run.model.write_bytes(b"another model")
    assert run.read_predictions(tiny_pictures) is None


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04"])
def test_damaged_predictions_are_not_taken(run, outputs, tiny_pictures, content):
    run.write_predictions(outputs, tiny_pictures)
    run.predictions.write_bytes(content or run.predictions.read_bytes()[:-30])
    assert run.read_predictions(tiny_pictures) is None


def test_a_run_is_complete_when_it_has_its_metrics(run):
    for found in ("an unfinished training", "no training"):
        if found == "an unfinished training":
            run.config.write_text("")
        else:
            run.config.unlink()
        with pytest.raises(DataError, match=rf"{found} there \(no metrics\.json\)\. Run `edgeproof train"):
            open_complete(run.folder)
    run.metrics.write_text("{}")
    assert open_complete(str(run.folder)) == run


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="no folder there"):
        open_complete(tmp_path / "gone")


def test_settings_and_labels_are_read_back(run):
    run.config.write_text(config.dump(config.load(None, ["seed=9"])))
    run.labels.write_text("cat\ndog\n")
    assert run.read_config().seed == 9
    assert run.read_labels() == ("cat", "dog")


def test_json_is_indented_and_ends_with_a_line(tmp_path):
    write_json(tmp_path / "some.json", {"labels": ("größe",), "n": 1.5})
    text = (tmp_path / "some.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"labels": ["größe"], "n": 1.5}
    assert text.endswith("}\n")
    assert text.count("\n") > 3


def test_a_table_quotes_what_would_break_it():
    text = table(("path", "label"), [('a,"b"\nc', "x")])
    assert list(csv.reader(text.splitlines(keepends=True))) == [["path", "label"], ['a,"b"\nc', "x"]]


def test_cleaning_leaves_checkpoints_until_the_run_is_complete(tmp_path):
    run = Run(tmp_path)
    for path in (run.cache / "a.rows", run.checkpoints / "1-000000001.npz"):
        path.parent.mkdir()
        path.touch()
    run.clean()
    assert not run.cache.exists()
    assert run.checkpoints.exists()
    run.metrics.touch()
    run.clean()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_clearing_removes_what_would_pass_for_the_next_trainings_work(tmp_path):
    run = Run(tmp_path)
    for folder in (run.checkpoints, run.cache, run.logs, tmp_path / "export"):
        folder.mkdir()
    run.metrics.touch()
    run.labels.touch()
    run.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["labels.txt"]
