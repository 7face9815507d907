import numpy as np

from edgeproof.benchmarks.timing_pictures import synthetic_pixels, timing_pixels
from edgeproof.runtime import Classifier


def test_few_pictures_are_spread_and_repeated_to_two_batches(tiny_model_path, tiny_pictures):
    classifier = Classifier(tiny_model_path)
    pixels = timing_pixels(classifier, tiny_pictures)
    assert (pixels.shape, pixels.dtype) == ((64, 8, 8, 3), np.uint8)
    assert set(classifier.probabilities(pixels).argmax(axis=1)) == {0, 1, 2, 3}


def test_without_data_the_same_synthetic_pictures_come_each_time(tiny_model_path):
    classifier = Classifier(tiny_model_path)
    pixels = timing_pixels(classifier, None)
    np.testing.assert_array_equal(pixels, timing_pixels(classifier, None))
    assert not np.array_equal(pixels, timing_pixels(classifier, None, seed=1))
    assert pixels.shape == (64, 8, 8, 3)


def test_synthetic_pictures_are_smooth_and_not_all_alike():
    pixels = synthetic_pixels(64, 48, seed=0).astype(float)
    assert pixels.shape == (64, 64, 48, 3)
    steps = np.abs(np.diff(pixels, axis=2)).mean()
    assert steps < pixels.std() / 5
    assert pixels.mean(axis=(1, 2)).std() > 5
