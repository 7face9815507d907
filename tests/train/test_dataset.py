import io
import logging

import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime import DataError
from edgeproof.runtime.pixels import Resize
from edgeproof.train import dataset
from edgeproof.train.config import Data


def png(value=0, size=(6, 6)):
    content = io.BytesIO()
    Image.new("RGB", size, (value, 0, 255 - value)).save(content, "PNG")
    return content.getvalue()


def put(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def load(source, **data):
    return dataset.load(Data(source=str(source), **data), size=8, seed=0)


GOOD = {
    f"{part}/{label}/{n}.png": png(100 * p + 20 * c + n)
    for p, part in enumerate(("train", "test"))
    for c, label in enumerate(("cat", "dog"))
    for n in range(3)
}


def test_a_folder_is_loaded_with_its_labels(tmp_path):
    found = load(put(tmp_path, GOOD))
    assert found.labels == ("cat", "dog")
    assert (len(found.train), len(found.test)) == (6, 6)
    assert (found.skipped, found.duplicates) == ({}, ())


def test_the_digits_are_loaded_by_name():
    pytest.importorskip("sklearn", reason="needs the train extra")
    found = load("digits")
    assert found.labels == tuple("0123456789")
    assert found.train.preprocessing.stored_size == (8, 8)


# --- the resize chain ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "data", "sides"),
    [
        (32, Data(), [32, 96]),
        (None, Data(), [96]),
        (96, Data(), [96]),
        (None, Data(source_size=32), [32, 96]),
        (64, Data(source_size=32), [32, 96]),
        (32, Data(source_size=96), [96]),
        (300, Data(), [96]),
    ],
    ids=["small", "mixed", "equal", "asked for", "asked for wins", "asked for the model's", "larger"],
)
def test_small_pictures_keep_their_size_first_and_others_go_straight_to_the_models(own, data, sides):
    steps = dataset.chain(own, 96, data).steps
    assert [step.width for step in steps] == sides
    assert [step.height for step in steps] == sides


def test_the_fit_is_that_of_the_first_step():
    assert [step.fit for step in dataset.chain(32, 96, Data(fit="crop")).steps] == ["crop", "stretch"]
    assert dataset.chain(None, 96, Data(fit="crop")).steps == (Resize(width=96, height=96, fit="crop"),)


def test_every_step_has_the_filter_that_is_asked_for():
    assert {step.resample for step in dataset.chain(32, 96, Data()).steps} == {"bilinear"}
    assert [step.resample for step in dataset.chain(32, 96, Data(resample="bicubic")).steps] == ["bicubic", "bicubic"]
    assert [step.resample for step in dataset.chain(None, 96, Data(resample="lanczos")).steps] == ["lanczos"]


# --- what cannot be used ------------------------------------------------------------------------------------


def test_one_class_only_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"one class only \('cat'\)\. A classifier needs two or more"):
        load(put(tmp_path, {name: content for name, content in GOOD.items() if "cat" in name}))


def test_a_class_whose_files_are_all_broken_is_refused(tmp_path):
    broken = {name: b"words" for name in GOOD if name.startswith("train/dog")}
    with pytest.raises(DataError, match=r"no usable training picture of 'dog'\. Add some, or remove the class"):
        load(put(tmp_path, {**GOOD, **broken}))


def test_a_class_without_test_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="no usable test picture of 'cat'"):
        load(put(tmp_path, {name: content for name, content in GOOD.items() if not name.startswith("test/cat")}))


def test_a_class_of_one_picture_cannot_be_split(tmp_path):
    files = {f"{label}/{n}.png": png(n) for label, count in (("cat", 4), ("dog", 1)) for n in range(count)}
    with pytest.raises(DataError, match="no usable test picture of 'dog'"):
        load(put(tmp_path, files))


def test_of_many_empty_classes_five_are_named(tmp_path):
    classes = [f"c{number}" for number in range(7)]
    files = {f"train/{label}/1.png": png() for label in [*classes, "z"]} | {"test/z/1.png": png()}
    with pytest.raises(DataError, match="no usable test picture of 'c0', 'c1', 'c2', 'c3', 'c4' …"):
        load(put(tmp_path, files))


# --- what is reported ---------------------------------------------------------------------------------------


def test_some_broken_files_are_counted_and_the_rest_is_used(tmp_path, caplog):
    broken = {f"train/dog/broken{number}.png": b"words" for number in range(7)}
    with caplog.at_level(logging.INFO, "edgeproof"):
        found = load(put(tmp_path, {**GOOD, **broken}))
    assert set(found.skipped) == set(broken)
    assert len(found.train) == 6
    assert sum("left out:" in record.message for record in caplog.records) == 5
    assert "7 files were left out in all; data.json lists them" in caplog.text
    assert "6 training and 6 test pictures of 2 classes" in caplog.text


def test_pictures_in_both_parts_are_reported_whatever_their_format(tmp_path, caplog):
    bitmap = io.BytesIO()
    Image.open(io.BytesIO(GOOD["train/cat/1.png"])).save(bitmap, "BMP")
    with caplog.at_level(logging.WARNING, "edgeproof"):
        found = load(put(tmp_path, {**GOOD, "test/dog/same.bmp": bitmap.getvalue()}))
    assert found.duplicates == (("train/cat/1.png", "test/dog/same.bmp"),)
    assert "1 test pictures also stand in the training set (first: test/dog/same.bmp = train/cat/1.png)" in caplog.text


def test_near_duplicates_are_reported_unless_told_not_to(tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 256, (5, 5, 3), np.uint8)
    scene = Image.fromarray(noise).resize((40, 40), Image.Resampling.BICUBIC)
    for name, picture in (("train/cat/a.png", scene), ("test/dog/b.jpg", scene)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / name)
    data = Data(source=str(put(tmp_path, GOOD)))
    with caplog.at_level(logging.WARNING, "edgeproof"):
        found = dataset.load(data, size=64, seed=0).report
    assert [(pair.train, pair.test) for pair in found.near_duplicates.pairs] == [("train/cat/a.png", "test/dog/b.jpg")]
    assert "1 test pictures are near duplicates" in caplog.text
    assert dataset.load(data, size=64, seed=0, near=False).report.near_duplicates.pairs == ()


def test_pictures_twice_within_one_part_are_no_leak(tmp_path):
    found = load(put(tmp_path, {**GOOD, "train/cat/again.png": GOOD["train/cat/1.png"]}))
    assert found.duplicates == ()


def test_the_same_settings_give_the_same_pictures(tmp_path):
    put(tmp_path, {name.removeprefix("train/"): content for name, content in GOOD.items() if "train" in name})
    one, other = load(tmp_path, test_share=0.4), load(tmp_path, test_share=0.4)
    assert one.test.names == other.test.names
    np.testing.assert_array_equal(one.train.stored, other.train.stored)


# --- within a limit of memory -------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [True, False], ids=["two parts", "to be split"])
def test_pictures_beyond_the_limit_lie_in_files_and_are_the_same(split, tmp_path):
    names = GOOD if split else {name.removeprefix("train/"): GOOD[name] for name in GOOD if "train" in name}
    source = put(tmp_path / "data", {**names, next(iter(names)): b"words"})
    data = Data(source=str(source), test_share=0.4)
    inside = dataset.load(data, size=8, seed=0, memory=10**10, cache=tmp_path / "cache")
    assert isinstance(inside.train.stored, np.ndarray)
    outside = dataset.load(data, size=8, seed=0, memory=1000, cache=tmp_path / "cache")
    for one, other in ((inside.train, outside.train), (inside.test, outside.test)):
        assert not isinstance(other.stored, np.ndarray)
        assert (one.names, one.hashes) == (other.names, other.hashes)
        np.testing.assert_array_equal(one.stored, other.stored[:])
        for (pixels, classes), (others, other_classes) in zip(one.batches(2), other.batches(2), strict=True):
            np.testing.assert_array_equal(pixels, others)
            assert classes.tolist() == other_classes.tolist()
    assert inside.report == outside.report
    assert any((tmp_path / "cache").iterdir())


# --- a survey -----------------------------------------------------------------------------------------------


def test_a_survey_counts_as_a_loading_does_and_decodes_a_few(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "SAMPLE", 4)
    for source in (
        put(tmp_path / "split", GOOD),
        put(tmp_path / "flat", {n[6:]: c for n, c in GOOD.items() if "train" in n}),
    ):
        data = Data(source=str(source), test_share=0.4)
        loaded, found = dataset.load(data, size=8, seed=0), dataset.survey(data, size=8, seed=0)
        assert (found.labels, found.test_pictures) == (loaded.labels, len(loaded.test))
        assert found.counts.tolist() == np.bincount(loaded.train.classes).tolist()
        assert found.sample.preprocessing == loaded.train.preprocessing
        assert (len(found.sample), found.from_files) == (4, True)
        assert found.seconds > 0


def test_a_survey_of_pictures_that_cannot_be_decoded_says_so(tmp_path):
    with pytest.raises(DataError, match="none of 6 pictures can be decoded"):
        dataset.survey(Data(source=str(put(tmp_path, dict.fromkeys(GOOD, b"words")))), size=8, seed=0)
