import numpy as np

from edgeproof import models
from edgeproof.benchmarks.timing_pictures import chosen, synthetic_pixels, timing_pixels
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
    assert pixels.shape == (64, 8, 8, 3)


def test_synthetic_pictures_are_smooth_and_not_all_alike():
    pixels = synthetic_pixels(64, 48, seed=0).astype(float)
    assert pixels.shape == (64, 64, 48, 3)
    steps = np.abs(np.diff(pixels, axis=2)).mean()
    assert steps < pixels.std() / 5
    assert pixels.mean(axis=(1, 2)).std() > 5
    assert not np.array_equal(synthetic_pixels(8, 8, seed=0), synthetic_pixels(8, 8, seed=1))


def test_without_data_the_golden_examples_of_a_file_are_timed():
    classifier = Classifier(models.path(models.CLASSIFIER))
    timed = chosen([classifier], None)
    assert timed.source == "golden"
    assert timed.described == f"the {len(timed.files)} golden examples of {models.CLASSIFIER}"
    pixels = timing_pixels(classifier, None, timed)
    assert pixels.shape == (64, 96, 96, 3)
    np.testing.assert_array_equal(pixels[1], classifier.preprocessing.pixels(timed.files[1]))


def test_a_file_without_examples_is_timed_with_pictures_that_are_called_synthetic(tiny_model_path):
    timed = chosen([Classifier(tiny_model_path)], None)
    assert timed.source == "synthetic"
    assert "synthetic" in timed.described


def test_kept_pixels_become_png_files_and_a_folder_gives_its_own(
    tiny_model_path, tiny_pictures, golden_picture, tmp_path
):
    classifier = Classifier(tiny_model_path)
    kept = chosen([classifier], tiny_pictures)
    assert (kept.source, len(kept.files)) == ("data", 16)
    assert "as PNG" in kept.described
    np.testing.assert_array_equal(classifier.preprocessing.stored(kept.files[0]), tiny_pictures.stored[0])
    (tmp_path / "red").mkdir()
    (tmp_path / "blue").mkdir()
    for name in ("red/1.png", "blue/2.png"):
        (tmp_path / name).write_bytes(golden_picture)
    found = chosen([classifier], tiny_pictures, tmp_path)
    assert found.files == (golden_picture,) * 2
    assert found.described == "2 picture files of the data"
