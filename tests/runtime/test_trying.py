import numpy as np
import pytest

from edgeproof.runtime import trying
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.trying import Feed


def test_a_range_is_reached_at_both_ends():
    feed = trying.spanning(-1, 1)
    values = feed.values(np.array([[[[0, 255, 51]]]], np.uint8), "float32")
    np.testing.assert_allclose(values[0, 0, 0], [-1, 1, -0.6], atol=1e-6)
    assert feed.span == (-1.0, pytest.approx(1.0))
    assert feed.name == "-1 to 1, RGB"


def test_bgr_turns_the_channels_and_no_places():
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    values = trying.spanning(0, 255, bgr=True).values(pixels, "float32")
    assert values[0, 0, 0].tolist() == [2, 1, 0]
    assert values[0, 1, 1].tolist() == [11, 10, 9]


def test_a_mean_for_each_channel_is_in_the_order_of_the_channels_fed():
    feed = trying.normalising("some", (10, 20, 30), (1, 2, 3))
    assert feed.values(np.array([[[[10, 24, 36]]]], np.uint8), "float32").ravel() == pytest.approx([0, 2, 2])
    assert feed.span is None


def test_integers_get_bytes_and_int8_gets_them_less_128():
    pixels = np.array([[[[0, 128, 255]]]], np.uint8)
    plain, turned = trying.BYTES
    assert plain.values(pixels, "uint8").ravel().tolist() == [0, 128, 255]
    assert plain.values(pixels, "int8").ravel().tolist() == [-128, 0, 127]
    assert turned.values(pixels, "uint8").ravel().tolist() == [255, 128, 0]
    assert trying.feeds("uint8") == trying.BYTES
    assert trying.feeds("float32") == trying.FEEDS


# What the inside of a model does to its input, so that it sees bytes when it is fed as its trainer fed it.
TRAINED = {
    "0 to 255, RGB": (np.ones(3), np.zeros(3), False),
    "0 to 1, RGB": (np.full(3, 255), np.zeros(3), False),
    "-1 to 1, RGB": (np.full(3, 127.5), np.full(3, 127.5), False),
    "0 to 255, BGR": (np.ones(3), np.zeros(3), True),
    "-1 to 1, BGR": (np.full(3, 127.5), np.full(3, 127.5), True),
    "ImageNet mean and deviation, RGB": (np.array([58.395, 57.12, 57.375]), np.array([123.675, 116.28, 103.53]), False),
    "Caffe means, BGR": (np.ones(3), np.array([103.939, 116.779, 123.68]), True),
}


# Dark and bright ones of one hue, so that a model of them notices a wrong scale as well as a wrong shift or order.
MEANS = np.array([(60, 40, 20), (180, 120, 60), (40, 60, 120), (100, 150, 250)], np.float64)


@pytest.mark.parametrize("name", TRAINED)
def test_the_feed_that_a_model_was_trained_with_is_found(make_flatbuffer, name):
    factor, shift, bgr = TRAINED[name]
    means = MEANS[:, ::-1] if bgr else MEANS
    weights, bias = means / 900, -(means**2).sum(axis=1) / 1800  # linear discriminants
    content = make_flatbuffer(
        quantised=False,
        weights=(weights * factor).astype(np.float32),
        bias=(bias + weights @ shift).astype(np.float32),
    )
    classes = np.arange(200) % 4
    # As much as the discriminants expect: with less, whatever feeds the model too loudly would look surer.
    noise = np.random.default_rng(0).normal(0, 30, (200, 1, 1, 3)) * np.ones((1, 8, 8, 1))
    pixels = (MEANS[classes][:, np.newaxis, np.newaxis] + noise).clip(0, 255).astype(np.uint8)
    verdict = trying.tried(Runner(content), pixels, classes, trying.FEEDS)
    assert verdict.trials[0].feed == name
    assert verdict.trials[0].top1 > 0.8
    assert verdict.images == 200
    assert (verdict.input_range is None) == (bgr or "ImageNet" in name)
    assert verdict.confidence > 0.5
    assert name in verdict.sentence
    assert ("--input-range cannot say this" in verdict.sentence) == (verdict.input_range is None)


def test_bytes_of_an_integer_input_need_no_range_to_be_given(make_flatbuffer, tiny_pictures):
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    runner = Runner(make_flatbuffer(quantised=True))
    verdict = trying.tried(runner, pixels, tiny_pictures.classes, trying.feeds("uint8"))
    assert verdict.trials[0].feed == "bytes, RGB"
    assert verdict.sentence.endswith("This is how edgeproof's runtime feeds it.")


def test_a_model_that_answers_at_random_fits_no_range(make_flatbuffer, tiny_pictures):
    draw = np.random.default_rng(0)
    content = make_flatbuffer(
        quantised=False, weights=np.zeros((4, 3), np.float32), bias=draw.normal(size=4).astype(np.float32)
    )
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    verdict = trying.tried(Runner(content), pixels, tiny_pictures.classes, trying.FEEDS)
    assert not verdict.better_than_chance
    assert verdict.confidence == 0.5
    assert verdict.sentence == "None of the ranges fits: no answer is better than a guess."


def test_one_sure_mistake_does_not_decide():
    outputs = np.array([[0.0, 1.0], [0.9, 0.1]], np.float32)
    found = trying._log_likelihoods(outputs, np.array([0, 0]))
    assert found.tolist() == pytest.approx([np.log(1e-4), np.log(0.9)], rel=1e-5)


def test_logits_are_weighed_as_probabilities():
    outputs = np.array([[2.0, 0.0], [-1.0, 3.0]], np.float32)
    found = trying._log_likelihoods(outputs, np.array([0, 1]))
    assert found == pytest.approx([-np.log1p(np.exp(-2)), -np.log1p(np.exp(-4))])


def test_a_feed_has_a_name_that_no_other_has():
    names = [feed.name for feed in (*trying.FEEDS, *trying.BYTES)]
    assert len(set(names)) == len(names)
    assert all(isinstance(feed, Feed) for feed in trying.FEEDS)
