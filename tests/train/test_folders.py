import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime import DataError
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import folders
from edgeproof.train.config import Data


def png(value=0, size=(9, 9)):
    content = io.BytesIO()
    Image.new("RGB", size, (value, 0, 255 - value)).save(content, "PNG")
    return content.getvalue()


def chain(own_size):
    """A model of 8 px; what the folder says of its pictures' size is seen in the first step."""
    steps = () if own_size is None else (Resize(width=own_size, height=own_size),)
    return Preprocessing(steps=(*steps, Resize(width=8, height=8)))


def put(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def load(source, *, seed=0, **data):
    return folders.load(Data(source=str(source), **data), chain, seed)


FLAT = {f"{label}/{n}.png": png(20 * c + n) for c, label in enumerate(("cat", "dog")) for n in range(10)}
SPLIT = {f"{part}/{name}": content for part in ("train", "test") for name, content in FLAT.items()}


def test_train_and_test_folders_are_kept_apart(tmp_path):
    train, test, skipped = load(put(tmp_path, SPLIT))
    assert train.labels == test.labels == ("cat", "dog")
    assert {name.split("/")[0] for name in train.names} == {"train"}
    assert {name.split("/")[0] for name in test.names} == {"test"}
    assert (len(train), len(test), skipped) == (20, 20, {})


def test_class_folders_alone_are_split_by_class_with_the_seed(tmp_path):
    put(tmp_path, FLAT)
    train, test, _ = load(tmp_path, test_share=0.3)
    assert np.bincount(test.classes).tolist() == [3, 3]
    assert sorted((*train.names, *test.names)) == sorted(FLAT)
    assert load(tmp_path, test_share=0.3)[1].names == test.names
    assert load(tmp_path, test_share=0.3, seed=1)[1].names != test.names


def test_a_zip_is_taken_like_the_folder_in_it(tmp_path):
    put(tmp_path / "pictures", SPLIT)
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for name, content in SPLIT.items():
            archive.writestr(name, content)
    for one, other in zip(load(tmp_path / "pictures")[:2], load(tmp_path / "pictures.zip")[:2], strict=True):
        assert (one.names, one.hashes) == (other.names, other.hashes)
        np.testing.assert_array_equal(one.classes, other.classes)


@pytest.mark.parametrize("form", ["test/<class>", "<class>"])
def test_a_second_path_brings_the_test_pictures(form, tmp_path):
    put(tmp_path / "one", FLAT)
    put(tmp_path / "two", {f"test/{name}" if form == "test/<class>" else name: png(200) for name in FLAT})
    train, test, _ = load(tmp_path / "one", test=str(tmp_path / "two"))
    assert train.names == tuple(sorted(FLAT))
    assert len(test) == 20
    assert test.stored[0, 0, 0].tolist() == [200, 0, 55]


def test_the_second_path_wins_over_the_sources_own_test_folder(tmp_path):
    put(tmp_path / "one", SPLIT)
    put(tmp_path / "two", {"cat/only.png": png(), "dog/only.png": png()})
    assert load(tmp_path / "one", test=str(tmp_path / "two"))[1].names == ("cat/only.png", "dog/only.png")


def test_pictures_and_classes_of_the_test_part_have_the_numbers_of_training(tmp_path):
    put(tmp_path, {"train/a/1.png": png(), "train/b/1.png": png(), "test/b/1.png": png()})
    train, test, _ = load(tmp_path)
    assert test.labels == train.labels
    assert test.classes.tolist() == [1]


def test_files_that_are_no_pictures_are_named_with_the_reason(tmp_path):
    broken = {
        "train/cat/cut.png": png()[:40],
        "train/dog/words.jpg": b"words",
        "test/dog/empty.png": b"",
        "train/cat/notes.txt": b"words",
        "README.md": b"words",
    }
    train, test, skipped = load(put(tmp_path, {**SPLIT, **broken}))
    assert set(skipped) == set(broken)
    assert skipped["README.md"] == skipped["train/cat/notes.txt"] == "not a picture by its suffix"
    assert all("cannot be decoded" in skipped[name] for name in ("train/cat/cut.png", "test/dog/empty.png"))
    assert (len(train), len(test)) == (20, 20)


def test_broken_files_of_a_second_path_are_named_too(tmp_path):
    put(tmp_path / "one", FLAT)
    put(tmp_path / "two", {**FLAT, "cat/cut.png": png()[:40], "notes.txt": b"x"})
    assert set(load(tmp_path / "one", test=str(tmp_path / "two"))[2]) == {"cat/cut.png", "notes.txt"}


def test_small_pictures_of_one_square_size_keep_it_as_the_first_step(tmp_path):
    train, _, _ = load(put(tmp_path, SPLIT))
    assert train.preprocessing.stored_size == (9, 9)
    assert train.stored.shape[1:3] == (9, 9)


@pytest.mark.parametrize("odd", [(9, 7), (12, 12)])
def test_pictures_of_several_sizes_or_of_another_shape_have_no_common_size(odd, tmp_path):
    train, _, _ = load(put(tmp_path, {**SPLIT, "train/dog/odd.png": png(size=odd)}))
    assert train.preprocessing.steps == (Resize(width=8, height=8),)


def test_a_broken_picture_does_not_hide_the_common_size(tmp_path):
    train, _, _ = load(put(tmp_path, {**SPLIT, "train/cat/0.png": b"words"}))
    assert train.preprocessing.stored_size == (9, 9)


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"no pictures in it\. Expected <class>/\*\.png, or train/ and test/ of these"):
        load(tmp_path)


def test_a_folder_of_pictures_without_classes_holds_no_pictures_for_us(tmp_path):
    with pytest.raises(DataError, match="no pictures in it"):
        load(put(tmp_path, {"1.png": png(), "2.png": png()}))


def test_a_path_that_is_not_there_or_no_archive_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone: no such file or folder"):
        load(tmp_path / "gone")
    put(tmp_path, {"notes.txt": b"x"})
    with pytest.raises(DataError, match=r"notes\.txt is neither a folder nor a zip"):
        load(tmp_path / "notes.txt")


def test_test_pictures_alone_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"has test/ but no train/\. Add the training pictures as train/<class>/\*"):
        load(put(tmp_path, {"test/cat/1.png": png(), "test/dog/1.png": png()}))


def test_test_pictures_of_a_class_that_training_lacks_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"test pictures of 'emu', which the training pictures lack\. Use the same"):
        load(put(tmp_path, {**SPLIT, "test/emu/1.png": png()}))


def test_a_second_path_without_pictures_is_refused(tmp_path):
    put(tmp_path / "one", FLAT)
    (tmp_path / "two").mkdir()
    with pytest.raises(DataError, match=r"two: no test pictures in it"):
        load(tmp_path / "one", test=str(tmp_path / "two"))
