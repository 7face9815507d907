import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.convert import calibration
from edgeproof.convert.admission import admit, correlations
from edgeproof.convert.calibration import UNKNOWN, CalibrationSet
from edgeproof.runtime import DataError
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize

DATA = os.environ.get("EDGEPROOF_DATA")
CLASSES = 10
CHAIN = Preprocessing(steps=(Resize(width=16, height=16), Resize(width=32, height=32)))


def scenes(count, *, seed=0, size=16):
    """Pictures of one slope and some noise each: as smooth as photographs, all of them different."""
    generator = np.random.default_rng(seed)
    down, across = np.mgrid[:size, :size][..., np.newaxis] / size - 0.5
    slopes = generator.normal(size=(2, count, 1, 1, 3)) * 120
    values = 128 + slopes[0] * down + slopes[1] * across + generator.normal(size=(count, size, size, 3)) * 5
    return values.clip(0, 255).astype(np.uint8)


def pictures(stored, *, classes=None, preprocessing=CHAIN, part="train"):
    numbers = np.arange(len(stored)) % CLASSES if classes is None else np.asarray(classes)
    return LabelledPictures(
        labels=tuple(f"class {number}" for number in range(CLASSES)),
        names=tuple(f"{part}/{number:03}" for number in range(len(stored))),
        classes=numbers.astype(np.int64),
        stored=stored,
        hashes=tuple(sha256(picture.tobytes()) for picture in stored),
        preprocessing=preprocessing,
    )


TEST = pictures(scenes(50, seed=99), part="test")


def judge(given, *, test=TEST, size=(32, 32), classes=CLASSES):
    admit(CalibrationSet(given, 0), test=test, size=size, classes=classes)


def noise(count=60, size=16):
    return np.random.default_rng(7).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def resized(stored, size):
    return np.stack(
        [np.asarray(Image.fromarray(each).resize((size, size), Image.Resampling.BILINEAR)) for each in stored]
    )


def test_training_pictures_are_admitted():
    judge(pictures(scenes(60)))


def test_test_pictures_are_refused_with_their_number_and_the_first():
    stored = scenes(60)
    stored[[7, 20, 41]] = TEST.stored[[3, 1, 1]]
    with pytest.raises(DataError, match=r"3 of 60 calibration pictures are test pictures as well \(first: train/007\)"):
        judge(pictures(stored))


def test_test_pictures_are_known_again_at_the_models_size():
    stored = TEST.preprocessing.finished(TEST.stored)
    at_once = Preprocessing(steps=CHAIN.steps[1:])
    with pytest.raises(DataError, match="50 of 50 calibration pictures are test pictures as well"):
        judge(pictures(stored, preprocessing=at_once))
    judge(pictures(CHAIN.finished(scenes(60)), preprocessing=at_once))


@pytest.mark.parametrize(("copies", "refused"), [(6, False), (7, True), (59, True)])
def test_a_set_with_less_than_nine_tenths_different_pictures_is_refused(copies, refused):
    stored = scenes(60)
    stored[60 - copies :] = stored[0]
    if not refused:
        judge(pictures(stored))
        return
    message = (
        rf"Only {60 - copies} of 60 calibration pictures are different ones \(train/000 comes {copies + 1} times\)"
    )
    with pytest.raises(DataError, match=message):
        judge(pictures(stored))


@pytest.mark.parametrize("size", [16, 20, 24, 32, 64])
def test_random_noise_is_refused_enlarged_or_not(size):
    chain = Preprocessing(steps=(Resize(width=size, height=size), Resize(width=32, height=32)))
    with pytest.raises(
        DataError, match=r"are random noise: neighbouring pixels correlate by -?0\.[012]\d at the median"
    ):
        judge(pictures(resized(noise(), size), preprocessing=chain))


@pytest.mark.parametrize("size", [48, 20])
def test_random_noise_that_was_made_smaller_is_refused(size):
    with pytest.raises(DataError, match="are random noise"):
        judge(pictures(resized(noise(size=size), 16)))


def test_noise_in_the_colours_of_a_data_set_and_shuffled_pixels_are_refused():
    tinted = np.random.default_rng(0).normal((123, 116, 103), 58, (60, 16, 16, 3)).clip(0, 255).astype(np.uint8)
    shuffled = scenes(60).reshape(60, 256, 3)[:, np.random.default_rng(0).permutation(256)].reshape(60, 16, 16, 3)
    for stored in (tinted, shuffled):
        with pytest.raises(DataError, match="are random noise"):
            judge(pictures(stored))


def test_some_noisy_pictures_among_others_are_admitted():
    stored = scenes(60)
    stored[:20] = noise(20)
    judge(pictures(stored))


def test_noise_is_refused_with_a_picture_of_one_colour_among_it():
    stored = noise()
    stored[0] = 80
    with pytest.raises(DataError, match="are random noise"):
        judge(pictures(stored))


def test_rough_pictures_are_admitted_where_the_test_pictures_are_as_rough():
    rough = noise(120).astype(np.float64)
    rough = (0.8 * rough + 0.2 * np.roll(rough, 1, axis=1)).astype(np.uint8)
    with pytest.raises(DataError, match="are random noise"):
        judge(pictures(rough[:60]))
    judge(pictures(rough[:60]), test=pictures(rough[60:], part="test"))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (scenes(60) / 256, "0"),
        (scenes(60) / 255, "0, 1"),
        ((scenes(60) / 255).round(), "0, 1"),
        (scenes(60) / 127.5 - 1, "0, 1, 255"),
    ],
)
def test_pictures_that_were_scaled_and_cut_to_integers_are_refused(values, found):
    with pytest.raises(DataError, match=rf"hold no value but {found}: scaled to 0\.\.1 or -1\.\.1 and then cut"):
        judge(pictures(values.astype(np.int64).astype(np.uint8)))


def test_pictures_of_pure_black_and_white_are_admitted():
    judge(pictures(np.where(scenes(60) > 127, 255, 0).astype(np.uint8)))


def test_pictures_on_another_scale_than_the_test_pictures_are_refused():
    with pytest.raises(DataError, match=r"brightest value is 16, the test pictures' 255: another scale"):
        judge(pictures((scenes(60) // 15).clip(0, 16)))
    judge(pictures(scenes(60) // 3))


def test_pictures_of_one_colour_all_over_are_refused():
    plain = np.broadcast_to(scenes(60)[:, :1, :1], (60, 16, 16, 3)).copy()
    with pytest.raises(DataError, match="60 of 60 calibration pictures are of one colour all over"):
        judge(pictures(plain))
    some = scenes(60)
    some[:10] = plain[:10]
    judge(pictures(some))


def test_another_size_than_the_models_is_refused():
    with pytest.raises(DataError, match=r"are prepared for 32×32 pixels; the model takes 96×64"):
        judge(pictures(scenes(60)), size=(96, 64))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (
            scenes(60) / np.float32(255),
            r"The calibration pictures: float32 values from 0 to 1, not uint8 .*Undo the scaling",
        ),
        (scenes(60)[..., 0], r"an array of shape \(60, 16, 16\); \(n, 16, 16, 3\) is expected"),
        (scenes(60)[:, :8], r"an array of shape \(60, 8, 16, 3\); \(n, 16, 16, 3\) is expected"),
        (scenes(60)[:0], r"The calibration pictures: no pictures"),
    ],
)
def test_another_type_or_shape_than_stored_pictures_have_is_refused(stored, message):
    with pytest.raises(DataError, match=message):
        judge(pictures(stored))


@pytest.mark.parametrize(
    ("classes", "of", "wanted"),
    [([0, 1, 2, 3], 10, 5), ([0], 2, 2), ([0, 1], 100, 30), ([5], 3, 2)],
)
def test_too_few_classes_are_refused_with_how_many_are_needed(classes, of, wanted):
    shown = np.resize(classes, 60)
    message = rf"60 calibration pictures show {len(classes)} of {of} classes; {wanted} are needed"
    with pytest.raises(DataError, match=message):
        judge(pictures(scenes(60), classes=shown), classes=of)


@pytest.mark.parametrize(
    ("count", "classes", "of"), [(60, range(5), 10), (60, [0, 1], 2), (4, [0, 1], 100), (1, [3], 10)]
)
def test_half_of_what_so_many_pictures_can_show_is_enough(count, classes, of):
    judge(pictures(scenes(count), classes=np.resize(list(classes), count)), classes=of)


def test_pictures_without_labels_are_admitted_and_that_is_said(caplog):
    unlabelled = replace(pictures(scenes(60), classes=np.full(60, UNKNOWN)), labels=())
    judge(unlabelled)
    assert "bear no labels" in caplog.text


def test_smooth_pictures_correlate_and_noise_does_not_and_one_colour_gives_no_number():
    assert np.median(correlations(scenes(60))) > 0.9
    assert abs(np.median(correlations(noise()))) < 0.05
    assert np.isnan(correlations(np.full((1, 16, 16, 3), 7, np.uint8))).all()
    assert correlations(noise(size=1)).shape == (60,)


def test_the_embedded_digits_are_admitted():
    pytest.importorskip("sklearn", reason="needs the train extra")
    from edgeproof.train import dataset
    from edgeproof.train.config import Data

    digits = dataset.load(Data(source="digits"), size=96, seed=0)
    sample = calibration.choose(digits.train, images=200, exclude=digits.test.hashes)
    admit(sample, test=digits.test, size=(96, 96), classes=10)
    black_and_white = np.where(sample.pictures.stored > 127, 255, 0).astype(np.uint8)
    smoother = pictures(scenes(50, size=8), preprocessing=sample.pictures.preprocessing)
    judge(replace(sample.pictures, stored=black_and_white), test=smoother, size=(96, 96))


@pytest.mark.skipif(not DATA, reason="EDGEPROOF_DATA names no folder with CIFAR-100")
def test_pictures_of_cifar100_are_admitted_but_test_pictures_among_them_are_not():
    labels = tuple((Path(DATA or "") / "models" / "stock-recipe" / "labels.txt").read_text().split())
    chain = Preprocessing(steps=(Resize(width=32, height=32), Resize(width=96, height=96)))
    place = Path(DATA or "") / "data" / "cifar100-train.zip"
    given = calibration.load(place, labels=labels, preprocessing=chain, images=250)
    train, test = given.pictures.take(range(200)), given.pictures.take(range(200, 250))
    judge(train, test=test, size=(96, 96), classes=100)
    assert np.median(correlations(train.stored)) > 0.6
    with pytest.raises(DataError, match="50 of 250 calibration pictures are test pictures as well"):
        judge(given.pictures, test=test, size=(96, 96), classes=100)
