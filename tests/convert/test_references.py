"""Where the reference's answers come from, and that they are computed once."""

import shutil
import sys

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs the train extra (TensorFlow)")
import keras

from edgeproof.convert import reference, references
from edgeproof.runtime import DataError, ModelError, testset
from edgeproof.runtime.pixels import Preprocessing, Resize


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgeproof" / "references"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A Keras model of 16 pixels that takes 0 to 1."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input((16, 16, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4, "softmax")]
    path = tmp_path_factory.mktemp("model") / "small.keras"
    keras.Sequential(layers).save(path)
    return path


LABELS = ("red", "green", "blue", "grey")
CHAIN = Preprocessing(steps=(Resize(width=16, height=16),))


def test_a_runs_own_answers_are_taken_without_tensorflow(colour_run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("edgeproof.convert.reference.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    found = references.of_run(colour_run.folder)
    kept = colour_run.read_predictions(found.test)
    np.testing.assert_array_equal(found.outputs, kept)
    assert found.keras_model == colour_run.model


def test_a_run_whose_reference_belongs_to_another_model_is_refused(colour_run, tmp_path):
    shutil.copytree(colour_run.folder, tmp_path / "run")
    (tmp_path / "run" / "model.keras").write_bytes(b"another")
    with pytest.raises(DataError, match=r"predictions\.npz does not belong to model\.keras"):
        references.of_run(tmp_path / "run")


def test_a_model_answers_once_and_then_from_the_cache_without_keras(model, colour_folder, cache, monkeypatch):
    first = references.of_model(model, labels=LABELS, data=colour_folder, preprocessing=CHAIN, input_range=(0, 1))
    assert [path.suffix for path in cache.iterdir()] == [".npz"]
    assert len(first.test) == 32
    assert first.outputs.sum(axis=1) == pytest.approx(np.ones(32), abs=1e-5)
    monkeypatch.setattr(reference, "load", refuse)
    again = references.of_model(model, labels=LABELS, data=colour_folder, preprocessing=CHAIN, input_range=(0, 1))
    np.testing.assert_array_equal(again.outputs, first.outputs)


def refuse(*given, **options):
    raise AssertionError("Keras was asked again")


@pytest.mark.parametrize("content", [b"", b"damaged", "cut"])
def test_damaged_answers_are_computed_again(model, colour_folder, cache, content):
    def ask():
        return references.of_model(model, labels=LABELS, data=colour_folder, preprocessing=CHAIN, input_range=(0, 1))

    first = ask()
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-100] if content == "cut" else content)
    np.testing.assert_array_equal(ask().outputs, first.outputs)
    assert kept.read_bytes() == whole


def test_another_range_order_of_labels_or_set_of_pictures_is_another_question(model, colour_folder, cache, tmp_path):
    def ask(**changes):
        given = {"labels": LABELS, "data": colour_folder, "preprocessing": CHAIN, "input_range": (0.0, 1.0), **changes}
        return references.of_model(model, **given)

    first = ask()
    assert not np.array_equal(ask(input_range=(-1.0, 1.0)).outputs, first.outputs)
    ask(labels=LABELS[::-1])
    fewer = tmp_path / "fewer"
    shutil.copytree(colour_folder / "test", fewer / "test")
    (fewer / "test" / "red" / "00.png").unlink()
    assert len(ask(data=fewer).test) == 31
    assert len(list(cache.iterdir())) == 4


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(model, colour_folder, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = references.of_model(model, labels=LABELS, data=colour_folder, preprocessing=CHAIN)
    assert len(found.outputs) == 32
    assert "the reference's answers are not kept" in caplog.text


def test_a_run_answers_to_other_pictures(colour_run, colour_folder, cache):
    own = references.of_run(colour_run.folder)
    found = references.of_run(colour_run.folder, data=colour_folder)
    assert set(found.test.hashes) == set(own.test.hashes)
    order = [found.test.hashes.index(each) for each in own.test.hashes]
    np.testing.assert_allclose(found.outputs[order], own.outputs, atol=1e-5)
    assert len(list(cache.iterdir())) == 1


def test_pictures_of_a_run_are_taken_whatever_the_order_of_its_labels(model, tiny_pictures, tmp_path):
    turned = tiny_pictures.relabelled(LABELS[::-1])
    larger = Preprocessing(steps=(Resize(width=4, height=4), Resize(width=16, height=16)))
    testset.write(tmp_path / "test.npz", turned.__class__(**{**vars(turned), "preprocessing": larger}))
    found = references.of_model(model, labels=LABELS, data=tmp_path / "test.npz")
    assert found.test.labels == LABELS
    np.testing.assert_array_equal(found.test.classes, tiny_pictures.classes)


def test_pictures_of_one_small_size_go_through_two_steps_as_in_training(colour_folder):
    steps = references.preprocessing_of(colour_folder, 64).steps
    assert [(step.width, step.height) for step in steps] == [(16, 16), (64, 64)]


def test_a_model_of_another_size_and_one_that_is_not_there_are_refused(model, colour_folder, tmp_path):
    larger = Preprocessing(steps=(Resize(width=32, height=32),))
    with pytest.raises(ModelError, match=r"takes \(16, 16\) pixels, the files \(32, 32\)"):
        references.of_model(model, labels=LABELS, data=colour_folder, preprocessing=larger)
    with pytest.raises(ModelError, match="no such file"):
        references.of_model(tmp_path / "none.keras", labels=LABELS, data=colour_folder)


def test_data_of_other_classes_are_refused(model, tiny_pictures, tmp_path):
    testset.write(tmp_path / "test.npz", tiny_pictures)
    with pytest.raises(DataError, match="other labels"):
        references.of_model(model, labels=("red", "green", "blue", "pink"), data=tmp_path / "test.npz")
