import keras
import numpy as np
import pytest

from edgeproof.convert import reference
from edgeproof.runtime import ModelError
from edgeproof.runtime.contract import sha256

LABELS = ("red", "green", "blue", "grey")


@pytest.fixture(scope="module")
def expected(mean_colour, tiny_pictures):
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored).astype(np.float32)
    return mean_colour().predict(pixels, verbose=0)


def test_a_model_of_raw_pixels_is_taken_as_it_is(saved, expected, tiny_pictures):
    path = saved()
    found = reference.load(path, LABELS)
    np.testing.assert_allclose(found.outputs(tiny_pictures), expected, atol=1e-6)
    assert (found.name, found.labels, found.notes, found.size) == ("mean_colour", LABELS, (), (8, 8))
    assert found.provenance == {"keras_sha256": sha256(path.read_bytes()), "keras": keras.__version__}


@pytest.mark.parametrize("input_range", [(-1.0, 1.0), (0.0, 1.0), (-127.5, 127.5)])
def test_an_input_range_is_put_into_the_model_like_scaling_by_hand(input_range, saved, mean_colour, tiny_pictures):
    found = reference.load(saved(input_range=input_range), LABELS, input_range=input_range)
    low, high = input_range
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    by_hand = (low + pixels * (high - low) / 255).astype(np.float32)
    theirs = mean_colour(input_range=input_range).predict(by_hand, verbose=0)
    np.testing.assert_allclose(found.outputs(tiny_pictures), theirs, atol=1e-4)
    assert len(set(theirs.argmax(axis=1).tolist())) == 4
    assert found.notes == (f"pixels are scaled to {low:g}…{high:g} inside the file",)
    assert found.name == "mean_colour"


def test_logits_get_a_softmax(saved, expected, tiny_pictures):
    found = reference.load(saved(activation=None), LABELS)
    np.testing.assert_allclose(found.outputs(tiny_pictures), expected, atol=1e-6)
    assert found.notes == ("a softmax is added: the outputs were no probabilities",)


def test_range_and_softmax_are_added_together(saved, expected, tiny_pictures):
    found = reference.load(saved(activation=None, input_range=(-1.0, 1.0)), LABELS, input_range=(-1.0, 1.0))
    np.testing.assert_allclose(found.outputs(tiny_pictures), expected, atol=1e-4)
    assert len(found.notes) == 2


@pytest.mark.parametrize("form", ["nested", "sequential"])
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_other_forms_and_the_older_format_are_taken(form, name, saved, expected, tiny_pictures, caplog):
    found = reference.load(saved(form=form, name=name), LABELS)
    np.testing.assert_allclose(found.outputs(tiny_pictures), expected, atol=1e-6)


def test_a_nested_model_of_another_range_and_logits_is_taken(saved, expected, tiny_pictures):
    path = saved(form="nested", activation=None, input_range=(0.0, 1.0))
    found = reference.load(path, LABELS, input_range=(0.0, 1.0))
    np.testing.assert_allclose(found.outputs(tiny_pictures), expected, atol=1e-4)


def test_the_number_of_labels_must_be_that_of_the_outputs(saved):
    with pytest.raises(ModelError, match=r"model\.keras gives 4 outputs, but there are 3 labels\. Give the right ones"):
        reference.load(saved(), LABELS[:3])


def model_of(kind):
    picture = keras.Input((8, 8, 3))
    answer = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(picture))
    if kind == "two inputs":
        other = keras.Input((4,))
        return keras.Model([picture, other], keras.layers.Add()([answer, other]))
    if kind == "two outputs":
        return keras.Model(picture, [answer, answer])
    if kind == "grey":
        grey = keras.Input((8, 8, 1))
        return keras.Model(grey, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(grey)))
    if kind == "any size":
        free = keras.Input((None, None, 3))
        return keras.Model(free, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(free)))
    return keras.Model(picture, keras.layers.Conv2D(4, 1)(picture))  # a map


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("two inputs", "has 2 inputs and 1 outputs; expected one each"),
        ("two outputs", "has 1 inputs and 2 outputs; expected one each"),
        ("grey", r"takes \(None, 8, 8, 1\); expected RGB pictures of a fixed size"),
        ("any size", r"takes \(None, None, None, 3\); expected RGB pictures of a fixed size"),
        ("a map", "gives 4 outputs"),
    ],
)
def test_what_is_no_image_classifier_is_refused(kind, words, tmp_path):
    model_of(kind).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=rf"model\.keras {words}"):
        reference.load(tmp_path / "model.keras", LABELS)


def test_a_model_that_was_never_told_its_input_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)])
    with pytest.warns(UserWarning, match="not yet been built"):
        model.save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=r"model\.keras does not say what it takes\. Give it an input of a fixed size"):
        reference.load(tmp_path / "model.keras", LABELS)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.keras: no such file\. Give a \.keras or \.h5 model"):
        reference.load(tmp_path / "gone.keras", LABELS)


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.pt"])
@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04"], ids=["empty", "text", "cut zip"])
def test_a_file_that_is_no_keras_model_is_refused_in_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.\w+ cannot be loaded by Keras \([^\n]*\)\. Give a \.keras"):
        reference.load(tmp_path / name, LABELS)


def test_a_truncated_model_is_refused(saved):
    path = saved()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match="cannot be loaded by Keras"):
        reference.load(path, LABELS)
