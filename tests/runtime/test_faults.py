"""Each mistake on its own stage; that it is recognised again is tests/runtime/test_replay.py."""

import io

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from edgeproof.runtime import Classifier
from edgeproof.runtime.faults import FAULTS
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pipeline import shipped
from edgeproof.runtime.pixels import Resize

SPOIL = {fault.id: fault.spoil for fault in FAULTS}
PIXELS = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)


@pytest.fixture
def right(tiny_model_path):
    classifier = Classifier(tiny_model_path)
    return shipped(Runner(classifier.file.flatbuffer), classifier.preprocessing)


@pytest.fixture
def right_int8(tiny_int8_path):
    classifier = Classifier(tiny_int8_path)
    return shipped(Runner(classifier.file.flatbuffer), classifier.preprocessing)


def stored(image, **options):
    content = io.BytesIO()
    image.save(content, "PNG", **options)
    return content.getvalue()


def test_every_fault_has_a_name_of_its_own_a_sentence_and_a_remedy():
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 10
    assert all(fault.sentence.endswith(".") and fault.remedy.endswith(".") for fault in FAULTS)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("bgr", PIXELS[..., ::-1]),
        ("nchw", PIXELS.transpose(0, 3, 1, 2).reshape(2, 8, 8, 3)),
        ("scaled-twice", PIXELS / 255),
        ("normalised-twice", PIXELS / 127.5 - 1),
        ("128-for-127.5", ((PIXELS - 128.0) / 128 + 1) * 127.5),
    ],
)
def test_a_fault_of_the_input_tensor_is_what_it_says(fault, expected, right, right_int8):
    entered = SPOIL[fault](right).enter(PIXELS)
    assert entered.dtype == np.float32
    np.testing.assert_allclose(entered, expected, rtol=1e-5, atol=1e-4)
    bytes_entered = SPOIL[fault](right_int8).enter(PIXELS)
    assert bytes_entered.dtype == np.uint8
    assert np.abs(bytes_entered - np.clip(expected, 0, 255)).max() <= 0.501


def test_a_fault_of_the_resize_changes_the_chain_alone(right):
    first, second = right.preprocessing.steps
    assert SPOIL["one-step"](right).preprocessing.steps == (second,)
    assert SPOIL["nearest"](right).preprocessing.steps[0] == structs.replace(first, resample="nearest")
    assert [step.fit for step in SPOIL["fit"](right).preprocessing.steps] == ["crop", "crop"]


def test_a_fault_that_a_file_rules_out_is_none(right, right_int8):
    assert SPOIL["zero-point"](right) is None
    assert SPOIL["zero-point"](right_int8) is None
    alone = structs.replace(right.preprocessing, steps=(Resize(width=8, height=8, resample="nearest"),))
    from dataclasses import replace

    assert SPOIL["one-step"](replace(right, preprocessing=alone)) is None
    assert SPOIL["nearest"](replace(right, preprocessing=alone)) is None


def test_without_orientation_a_picture_stays_on_its_side(right):
    lying = Image.new("RGB", (6, 2), (10, 20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = stored(lying, exif=exif)
    assert right.decode(picture).size == (2, 6)
    assert SPOIL["exif"](right).decode(picture).size == (6, 2)


def test_with_hidden_colours_what_is_transparent_is_seen(right):
    picture = stored(Image.new("RGBA", (3, 3), (200, 0, 0, 0)))
    assert right.decode(picture).getpixel((1, 1)) == (255, 255, 255)
    assert SPOIL["alpha"](right).decode(picture).getpixel((1, 1)) == (200, 0, 0)


def test_a_second_softmax_flattens_the_answers(right):
    once, twice = right.answers(PIXELS), SPOIL["softmax-twice"](right).answers(PIXELS)
    np.testing.assert_allclose(twice, np.exp(once) / np.exp(once).sum(axis=1, keepdims=True), rtol=1e-5)
