import csv

import numpy as np
import pytest

from edgeproof.convert import calibration
from edgeproof.runtime.contract import digest


def test_the_sample_is_balanced_and_depends_on_the_seed_alone(tiny_pictures):
    one, same, other = (calibration.choose(tiny_pictures, images=12, seed=seed) for seed in (1, 1, 2))
    assert np.bincount(one.pictures.classes).tolist() == [3, 3, 3, 3]
    assert one.pictures.names == same.pictures.names
    assert set(one.pictures.names) != set(other.pictures.names)


def test_a_small_set_is_taken_whole(tiny_pictures):
    assert len(calibration.choose(tiny_pictures, images=1000).pictures) == 40


def test_the_summary_says_which_pictures_were_taken_in_whatever_order(tiny_pictures):
    chosen = calibration.choose(tiny_pictures, images=6, seed=3)
    summary = chosen.summary
    assert (summary.images, summary.classes, summary.seed) == (6, 4, 3)
    assert summary.digest == digest(reversed(chosen.pictures.hashes))
    assert summary.digest != calibration.choose(tiny_pictures, images=6, seed=4).summary.digest


def test_the_pixels_are_the_runtimes_but_for_a_black_and_a_white_one(tiny_pictures):
    chosen = calibration.choose(tiny_pictures, images=8)
    pixels = chosen.pixels()
    assert pixels.dtype == np.uint8
    assert pixels[0, 0, 0].tolist() == [0, 0, 0]
    assert pixels[0, 0, 1].tolist() == [255, 255, 255]
    expected = np.stack([tiny_pictures.preprocessing.pixels(stored) for stored in chosen.pictures.stored])
    assert (pixels != expected).any(axis=3).sum() <= 2
    np.testing.assert_array_equal(pixels[1:], expected[1:])


def test_the_pictures_themselves_stay_as_they_were(tiny_pictures):
    chosen = calibration.choose(tiny_pictures, images=8)
    one_step = calibration.CalibrationSet(chosen.pictures, 0)
    before = chosen.pictures.stored.copy()
    one_step.pixels()
    np.testing.assert_array_equal(chosen.pictures.stored, before)


def test_the_sample_is_recorded_as_a_table(tiny_pictures, tmp_path):
    chosen = calibration.choose(tiny_pictures, images=8)
    chosen.write(tmp_path / "calibration.csv")
    with (tmp_path / "calibration.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == list(chosen.pictures.names)
    assert [row["sha256"] for row in rows] == list(chosen.pictures.hashes)
    assert all(row["path"].startswith(row["label"]) for row in rows)


def test_a_sample_of_nothing_is_the_callers_mistake(tiny_pictures):
    with pytest.raises(ValueError, match="Expected images >= 1, got 0"):
        calibration.choose(tiny_pictures, images=0)
