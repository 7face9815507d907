import csv
import zipfile

import numpy as np
import pytest

from edgeproof.convert import calibration
from edgeproof.runtime import DataError
from edgeproof.runtime.contract import digest
from edgeproof.runtime.pixels import Preprocessing, Resize

LABELS = ("red", "green", "blue", "grey")
SMALL = Preprocessing(steps=(Resize(width=8, height=8), Resize(width=16, height=16)))


@pytest.fixture
def load():
    """Load calibration pictures for a model of the four colours; the preprocessing stores 8×8 and ends in 16×16."""

    def one(path, **options):
        return calibration.load(path, **({"labels": LABELS, "preprocessing": SMALL} | options))

    return one


@pytest.fixture
def save(tmp_path):
    """Save arrays, one as .npy or several as .npz, and return the path."""

    def one(pixels, **others):
        path = tmp_path / ("own.npz" if others else "own.npy")
        np.savez(path, pixels=pixels, **others) if others else np.save(path, pixels)
        return path

    return one


def pixels(count=6, size=8):
    return np.random.default_rng(4).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


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


def test_test_pictures_are_passed_over_and_counted(tiny_pictures, caplog):
    plain = calibration.choose(tiny_pictures, images=12, seed=1)
    caplog.set_level("INFO")
    chosen = calibration.choose(tiny_pictures, images=12, seed=1, exclude=plain.pictures.hashes[:3])
    assert not set(plain.pictures.hashes[:3]) & set(chosen.pictures.hashes)
    assert np.bincount(chosen.pictures.classes).tolist() == [3, 3, 3, 3]
    assert (plain.passed_over, chosen.passed_over) == (0, 3)
    assert caplog.messages == ["3 training pictures that are test pictures as well do not calibrate"]


def test_hashes_of_other_pictures_exclude_nothing_and_change_nothing(tiny_pictures, caplog):
    caplog.set_level("INFO")
    plain, chosen = (calibration.choose(tiny_pictures, images=12, exclude=others) for others in ((), {"0" * 64}))
    assert plain.pictures.names == chosen.pictures.names
    assert chosen.passed_over == 0
    assert not caplog.messages


def test_a_training_set_of_test_pictures_alone_is_refused(tiny_pictures):
    with pytest.raises(DataError, match="Every training picture is also a test picture"):
        calibration.choose(tiny_pictures, exclude=tiny_pictures.hashes)


def test_a_users_folder_gives_a_balanced_seeded_sample(load, colour_folder):
    one, same, other = (load(colour_folder, images=12, seed=seed) for seed in (1, 1, 2))
    assert np.bincount(one.pictures.classes).tolist() == [3, 3, 3, 3]
    assert one.pictures.hashes == same.pictures.hashes
    assert set(one.pictures.names) != set(other.pictures.names)
    assert one.seed == 1
    assert one.pictures.stored.shape == (12, 8, 8, 3)
    assert one.pixels().shape == (12, 16, 16, 3)


def test_of_a_users_folder_the_training_part_is_taken_and_a_zip_is_as_good(load, colour_folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for path in colour_folder.rglob("*.png"):
            archive.write(path, path.relative_to(colour_folder))
    folder, packed = load(colour_folder, images=1000), load(tmp_path / "own.zip", images=1000)
    assert len(folder.pictures) == 64
    assert all(name.startswith("train/") for name in folder.pictures.names)
    assert folder.pictures.hashes == packed.pictures.hashes


def test_a_folder_without_parts_is_taken_as_it_is(load, colour_folder):
    assert len(load(colour_folder / "test", images=1000).pictures) == 32


def test_a_picture_that_cannot_be_decoded_is_left_out_and_named(load, colour_folder, tmp_path, caplog):
    (tmp_path / "own" / "red").mkdir(parents=True)
    (tmp_path / "own" / "red" / "good.png").write_bytes((colour_folder / "train" / "red" / "00.png").read_bytes())
    (tmp_path / "own" / "red" / "bad.png").write_bytes(b"no picture")
    assert load(tmp_path / "own").pictures.names == ("red/good.png",)
    assert "left out" in caplog.text
    assert "bad.png" in caplog.text
    (tmp_path / "own" / "red" / "good.png").unlink()
    with pytest.raises(DataError, match="own: none of 1 pictures can be decoded"):
        load(tmp_path / "own")


def test_an_array_of_stored_size_goes_through_the_rest_of_the_chain(load, save):
    given = pixels()
    found = load(save(given))
    assert found.pictures.preprocessing == SMALL
    order = [int(name.removeprefix("own.npy/")) for name in found.pictures.names]
    np.testing.assert_array_equal(found.pictures.stored, given[order])
    np.testing.assert_array_equal(found.pixels()[1], SMALL.pixels(given[order[1]]))


def test_an_array_of_the_models_size_goes_in_as_it_is(load, save):
    given = pixels(size=16)
    found = load(save(given))
    order = [int(name.removeprefix("own.npy/")) for name in found.pictures.names]
    np.testing.assert_array_equal(found.pixels()[1:], given[order][1:])
    assert found.pictures.preprocessing.stored_size == (16, 16)


def test_labels_beside_the_pixels_balance_the_sample(load, save):
    names = np.array(["red"] * 20 + ["grey"] * 4)
    found = load(save(pixels(24), labels=names), images=8)
    assert np.bincount(found.pictures.classes).tolist() == [4, 0, 0, 4]
    assert found.pictures.labels == LABELS
    assert found.summary.classes == 2


def test_pictures_without_labels_have_no_class_in_summary_and_record(load, save, tmp_path):
    found = load(save(pixels()), images=4)
    assert (found.summary.images, found.summary.classes, found.pictures.labels) == (4, 0, ())
    found.write(tmp_path / "calibration.csv")
    with (tmp_path / "calibration.csv").open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == [""] * 4


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (pixels() / np.float32(255), r"own\.npy: float32 values from 0 to 1, .*np\.rint\(x \* 255\)"),
        (pixels() / 127.5 - 1, r"own\.npy: float64 values from -1 to 1, .*np\.rint\(\(x \+ 1\) \* 127\.5\)"),
        (pixels().astype(np.float32), r"float32 values from 0 to 255, .*Give the pixels as they are"),
        (pixels().astype(np.int64), r"int64 values from 0 to 255, not uint8"),
        (pixels() > 100, r"own\.npy: bool values, not uint8"),
        (pixels()[0], r"shape \(8, 8, 3\); \(n, 8, 8, 3\) or \(n, 16, 16, 3\) is expected"),
        (pixels()[..., :1], r"shape \(6, 8, 8, 1\); \(n, 8, 8, 3\)"),
        (pixels().transpose(0, 3, 1, 2), r"shape \(6, 3, 8, 8\); \(n, 8, 8, 3\)"),
        (pixels(size=12), r"shape \(6, 12, 12, 3\); \(n, 8, 8, 3\) or \(n, 16, 16, 3\)"),
        (pixels()[:0], r"own\.npy: no pictures"),
    ],
)
def test_an_array_that_is_no_pictures_of_the_model_is_refused(load, save, array, message):
    with pytest.raises(DataError, match=message):
        load(save(array))


def test_an_array_of_objects_is_never_unpickled(load, tmp_path):
    np.save(tmp_path / "own.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"own\.npy is no array file that can be read \(Object arrays cannot be loaded"):
        load(tmp_path / "own.npy")


@pytest.mark.parametrize(
    "content", [b"", b"no array", b"PK\x03\x04 half a zip", b"\x93NUMPY\x01\x00\x10\x00{'descr': (    \n"]
)
def test_a_damaged_array_file_is_refused(load, tmp_path, content):
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"own\.npz is no array file that can be read"):
        load(tmp_path / "own.npz")


def test_an_archive_without_pixels_is_refused_with_what_it_has(load, tmp_path):
    np.savez(tmp_path / "own.npz", x_train=pixels(), y_train=np.zeros(6))
    with pytest.raises(DataError, match=r"own\.npz: no array 'pixels' in it, but x_train, y_train\."):
        load(tmp_path / "own.npz")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(6), r"its labels are int64 of shape \(6,\)\. Give a class name for each of the 6"),
        (np.array(["red"] * 5), r"its labels are <U3 of shape \(5,\)"),
        (np.array(["red"] * 5 + ["pink"]), r"its class 'pink' is not among the model's labels"),
    ],
)
def test_labels_that_do_not_fit_the_pixels_or_the_model_are_refused(load, save, labels, message):
    with pytest.raises(DataError, match=message):
        load(save(pixels(), labels=labels))


def test_a_folder_of_other_classes_is_refused(load, colour_folder):
    with pytest.raises(DataError, match="its class 'grey' is not among the model's labels"):
        load(colour_folder, labels=LABELS[:3])


def test_a_folder_without_training_pictures_is_refused(load, colour_folder, tmp_path):
    (tmp_path / "own").mkdir()
    with pytest.raises(DataError, match=r"own: no pictures in it\. Calibration takes <class>/\* or train/<class>/\*"):
        load(tmp_path / "own")
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        archive.write(colour_folder / "test" / "red" / "00.png", "test/red/00.png")
    with pytest.raises(DataError, match=r"own\.zip: only test pictures in it"):
        load(tmp_path / "own.zip")


def test_a_path_of_nothing_is_refused(load, tmp_path):
    with pytest.raises(DataError, match=r"none\.npy: no such file or folder"):
        load(tmp_path / "none.npy")
