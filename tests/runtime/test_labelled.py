import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime import DataError, labelled
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.labelled import Archive, Item
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.runtime.stored import View

LABELS = ("cat", "dog")
SETTINGS = Preprocessing(steps=(Resize(width=4, height=6), Resize(width=8, height=8)))


def png(value=0, size=(9, 7)):
    content = io.BytesIO()
    Image.new("RGB", size, (value, 0, 255 - value)).save(content, "PNG")
    return content.getvalue()


FLAT = {f"{label}/{n}.png": png(n + 10 * c) for c, label in enumerate(LABELS) for n in range(3)}
SPLIT = {
    "train/cat/1.png": png(1),
    "train/dog/2.png": png(2),
    "test/cat/3.png": png(3),
    "test/dog/sub/4.png": png(4),
}


@pytest.fixture(params=["folder", "stored zip", "deflated zip"])
def archive_of(request, tmp_path):
    """Put files, by name, into a folder or a zip, and open that as an archive."""

    def make(files):
        if request.param == "folder":
            for name, content in files.items():
                path = tmp_path / "pictures" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            return Archive(tmp_path / "pictures")
        method = zipfile.ZIP_STORED if request.param == "stored zip" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(tmp_path / "pictures.zip", "w", method) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        return Archive(tmp_path / "pictures.zip")

    return make


def all_of(archive):
    return labelled.decode(archive, labelled.find(archive)[""], SETTINGS, LABELS)


# --- finding ------------------------------------------------------------------------------------------------


def test_a_folder_a_class_is_one_part(archive_of):
    parts = labelled.find(archive_of(FLAT))
    assert set(parts) == {""}
    assert [item.name for item in parts[""]] == sorted(FLAT)
    assert {item.label for item in parts[""]} == set(LABELS)


def test_train_and_test_folders_are_two_parts(archive_of):
    parts = labelled.find(archive_of(SPLIT))
    assert set(parts) == {"train", "test"}
    assert parts["train"] == [Item("train/cat/1.png", "cat"), Item("train/dog/2.png", "dog")]
    assert [item.label for item in parts["test"]] == ["cat", "dog"]


def test_classes_that_are_called_train_and_test_stay_classes(archive_of):
    parts = labelled.find(archive_of({"train/1.png": png(), "test/2.png": png()}))
    assert {part: [item.label for item in items] for part, items in parts.items()} == {"": ["test", "train"]}


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_a_validation_folder_judges_a_model_where_there_is_no_test_folder(name, archive_of):
    files = {"train/cat/1.png": png(), "train/dog/1.png": png(), f"{name}/cat/2.png": png(), f"{name}/dog/2.png": png()}
    parts = labelled.find(archive_of(files))
    assert set(parts) == {"train", "validation"}
    assert [item.name for item in labelled.judged(parts)] == [f"{name}/cat/2.png", f"{name}/dog/2.png"]


def test_one_folder_that_holds_all_others_is_passed_through(archive_of):
    parts = labelled.find(archive_of({f"pets/v2/{name}": content for name, content in FLAT.items()}))
    assert set(parts) == {""}
    assert {item.label for item in parts[""]} == set(LABELS)
    assert parts[""][0].name == f"pets/v2/{min(FLAT)}"


def test_parts_are_found_below_a_folder_that_holds_them(archive_of):
    parts = labelled.find(archive_of({f"pets/{name}": content for name, content in SPLIT.items()}))
    assert set(parts) == {"train", "test"}


def test_a_single_class_is_no_folder_that_holds_all_others(archive_of):
    parts = labelled.find(archive_of({"cat/1.png": png(), "cat/2.png": png()}))
    assert {item.label for item in parts[""]} == {"cat"}


def test_hidden_files_and_what_is_no_picture_are_left_out(archive_of):
    noise = {
        ".DS_Store": b"x",
        "cat/.hidden.png": png(),
        "cat/._0.png": png(),
        "__MACOSX/cat/._0.png": b"x",
        ".cache/cat/0.png": png(),
        "cat/notes.txt": b"x",
        "cat/Thumbs.db": b"x",
        "README.md": b"x",
        "alone.png": png(),
    }
    parts = labelled.find(archive_of({**FLAT, **noise}))
    assert [item.name for item in parts[""]] == sorted(FLAT)


def test_the_suffix_is_known_in_either_case(archive_of):
    names = [item.name for item in labelled.find(archive_of({"cat/a.JPG": b"x", "cat/b.Png": b"x"}))[""]]
    assert names == ["cat/a.JPG", "cat/b.Png"]


def test_folders_are_read_through_whatever_lies_in_them(tmp_path):
    (tmp_path / "cat" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "cat" / "deep" / "er" / "1.png").write_bytes(png())
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "2.png").symlink_to(tmp_path / "cat" / "deep" / "er" / "1.png")
    (tmp_path / "dog" / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "dog" / "folder.png").mkdir()
    assert Archive(tmp_path).names == ("cat/deep/er/1.png", "dog/2.png")


def test_names_that_begin_with_a_dot_and_a_slash_are_those_without(tmp_path):
    with zipfile.ZipFile(tmp_path / "dots.zip", "w") as archive:
        for name, content in FLAT.items():
            archive.writestr(f"./{name}", content)
    pictures, failed = all_of(Archive(tmp_path / "dots.zip"))
    assert (len(pictures), failed) == (len(FLAT), {})


def test_an_archive_without_pictures_has_no_parts(archive_of):
    assert labelled.find(archive_of({"README.md": b"x"})) == {}


# --- decoding -----------------------------------------------------------------------------------------------


def test_pictures_are_decoded_in_order_with_their_classes_and_hashes(archive_of):
    pictures, failed = all_of(archive_of(FLAT))
    assert failed == {}
    assert pictures.names == tuple(sorted(FLAT))
    assert pictures.labels == LABELS
    assert pictures.classes.tolist() == [0, 0, 0, 1, 1, 1]
    assert pictures.stored.shape == (6, 6, 4, 3)
    for name, stored, hashed in zip(pictures.names, pictures.stored, pictures.hashes, strict=True):
        np.testing.assert_array_equal(stored, SETTINGS.stored(FLAT[name]))
        assert hashed == sha256(stored.tobytes())


def test_a_zip_equals_the_folder_that_was_packed(tmp_path):
    folder, packed = tmp_path / "pictures", tmp_path / "pictures.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("cat/", b"")  # an entry for the folder itself, as zip programs write it
        for name, content in reversed(FLAT.items()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            archive.writestr(name, content)
    one, other = all_of(Archive(folder))[0], all_of(Archive(packed))[0]
    assert (one.names, one.hashes, one.labels) == (other.names, other.hashes, other.labels)
    np.testing.assert_array_equal(one.classes, other.classes)
    np.testing.assert_array_equal(one.stored, other.stored)


def test_pictures_that_cannot_be_decoded_are_named_and_the_others_kept(archive_of):
    broken = {"cat/1.png": png()[:40], "dog/2.png": b"", "dog/9.jpg": b"words"}
    pictures, failed = all_of(archive_of({**FLAT, **broken}))
    assert set(failed) == set(broken)
    assert all("cannot be decoded" in reason for reason in failed.values())
    assert pictures.names == tuple(sorted(set(FLAT) - set(broken)))
    assert pictures.classes.tolist() == [0, 0, 1, 1]
    for name, stored in zip(pictures.names, pictures.stored, strict=True):
        np.testing.assert_array_equal(stored, SETTINGS.stored(FLAT[name]))


def test_where_no_picture_can_be_decoded_none_is_kept(archive_of):
    pictures, failed = all_of(archive_of({"cat/1.png": b"x", "dog/2.png": b"y"}))
    assert len(pictures) == 0
    assert pictures.stored.shape == (0, 6, 4, 3)
    assert len(failed) == 2


def test_more_pictures_than_one_slice_keep_their_order(tmp_path):
    files = {f"{LABELS[n % 2]}/{n:05}.png": png(n % 250, (1, 1)) for n in range(1300)}
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    pictures, failed = all_of(Archive(tmp_path / "many.zip"))
    assert failed == {}
    assert pictures.names == tuple(sorted(files))
    found = pictures.stored[:, 0, 0, 0].tolist()
    assert found == [int(name.split("/")[1][:5]) % 250 for name in sorted(files)]


def test_a_class_that_is_not_among_the_labels_is_named(archive_of):
    archive = archive_of({**FLAT, "emu/1.png": png()})
    with pytest.raises(DataError, match="the class 'emu' is not among the 2 labels"):
        all_of(archive)


def test_a_picture_whose_bytes_were_damaged_in_the_zip_is_named_and_the_others_kept(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "BMP")  # unlike a PNG, it compresses to more than one byte
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        path = tmp_path / f"{method}.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("cat/bad.bmp", content.getvalue())
            archive.writestr("dog/good.bmp", content.getvalue())
        damaged = bytearray(path.read_bytes())
        damaged[41:71] = b"\xff" * 30
        path.write_bytes(damaged)
        pictures, failed = all_of(Archive(path))
        assert pictures.names == ("dog/good.bmp",), method
        assert list(failed) == ["cat/bad.bmp"]
        assert "cannot be read" in failed["cat/bad.bmp"]


def elsewhere(shape):
    """Room that is not taken for an array in memory."""
    return View(np.zeros(shape, np.uint8), np.arange(shape[0]))


def test_pictures_are_decoded_into_the_room_that_is_given_and_taken_from_it_without_a_copy(archive_of):
    archive = archive_of({**FLAT, "cat/1.png": b"x"})
    rooms = []
    pictures, failed = labelled.decode(
        archive,
        labelled.find(archive)[""],
        SETTINGS,
        LABELS,
        allocate=lambda shape: rooms.append(elsewhere(shape)) or rooms[0],
    )
    rest = [name for name in sorted(FLAT) if name != "cat/1.png"]
    assert (list(failed), pictures.names) == (["cat/1.png"], tuple(rest))
    np.testing.assert_array_equal(pictures.stored[:], np.stack([SETTINGS.stored(FLAT[name]) for name in rest]))
    taken = pictures.take([4, 0])
    assert isinstance(taken.stored, View)
    assert taken.stored.stored is rooms[0].stored
    assert [sha256(picture.tobytes()) for picture in taken.stored] == list(taken.hashes)
    assert pictures.relabelled(("dog", "cat")).stored is pictures.stored


def test_every_file_that_is_decoded_is_looked_at_and_no_other(archive_of):
    archive = archive_of({**FLAT, "cat/1.png": b"x"})
    seen = []
    labelled.decode(archive, labelled.find(archive)[""], SETTINGS, LABELS, look=seen.append)
    assert sorted(seen) == sorted(content for name, content in FLAT.items() if name != "cat/1.png")


def test_a_room_that_cannot_be_written_stops_the_reading(archive_of):
    class Full(View):
        def __setitem__(self, number, picture):
            raise DataError("no room")

    archive = archive_of(FLAT)
    with pytest.raises(DataError, match="no room"):
        labelled.decode(
            archive,
            labelled.find(archive)[""],
            SETTINGS,
            LABELS,
            allocate=lambda shape: Full(None, np.arange(shape[0])),
        )


# --- the pictures -------------------------------------------------------------------------------------------


def test_batches_hold_every_picture_once_and_the_last_one_is_partial(archive_of):
    pictures, _ = all_of(archive_of(FLAT))
    batches = list(pictures.batches(4))
    assert [len(pixels) for pixels, _ in batches] == [4, 2]
    pixels = np.concatenate([pixels for pixels, _ in batches])
    np.testing.assert_array_equal(pixels, np.stack([SETTINGS.pixels(FLAT[name]) for name in pictures.names]))
    assert np.concatenate([classes for _, classes in batches]).tolist() == pictures.classes.tolist()


def test_taken_pictures_keep_what_belongs_to_them(archive_of):
    pictures, _ = all_of(archive_of(FLAT))
    taken = pictures.take([5, 0])
    assert taken.names == ("dog/2.png", "cat/0.png")
    assert taken.classes.tolist() == [1, 0]
    assert taken.hashes == (pictures.hashes[5], pictures.hashes[0])
    np.testing.assert_array_equal(taken.stored, pictures.stored[[5, 0]])
    assert (taken.labels, taken.preprocessing) == (pictures.labels, pictures.preprocessing)
    assert len(pictures.take([])) == 0


def test_relabelled_pictures_keep_their_class_by_name(archive_of):
    pictures, _ = all_of(archive_of(FLAT))
    turned = pictures.relabelled(("dog", "cat"))
    assert [turned.labels[index] for index in turned.classes] == [LABELS[index] for index in pictures.classes]
    assert turned.relabelled(LABELS).classes.tolist() == pictures.classes.tolist()
    assert turned.names == pictures.names


@pytest.mark.parametrize("labels", [("cat",), ("cat", "dog", "emu"), ("cat", "emu"), ("cat", "dog", "dog")])
def test_relabelling_with_other_names_is_the_callers_mistake(archive_of, labels):
    pictures, _ = all_of(archive_of(FLAT))
    with pytest.raises(ValueError, match="Expected the same labels in another order"):
        pictures.relabelled(labels)


# --- the archive --------------------------------------------------------------------------------------------


def test_an_archive_is_read_by_many_threads_at_once(archive_of):
    files = {f"cat/{n}.png": bytes([n]) * 5000 for n in range(40)}
    archive = archive_of(files)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(archive.read, list(files) * 10))
    assert found == list(files.values()) * 10


def test_what_is_not_there_is_named(archive_of, tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        archive_of(FLAT).read("cat/gone.png")
    with pytest.raises(DataError, match=r"gone: no such file or folder\. Give a folder or a zip"):
        Archive(tmp_path / "gone")


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_zip_is_refused(content, tmp_path):
    (tmp_path / "data.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"data\.zip is neither a folder nor a zip"):
        Archive(tmp_path / "data.zip")


def test_a_zip_whose_directory_is_damaged_is_refused_and_not_a_traceback(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/1.png", png())
    whole = path.read_bytes()
    at = whole.index(b"PK\x01\x02")
    path.write_bytes(whole[:at] + b"XX" + whole[at + 2 :])
    with pytest.raises(DataError, match=r"data\.zip is a damaged zip \(.+\)\. Get the file again"):
        labelled.find(Archive(path))


def test_an_encrypted_picture_is_named(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/1.png", png())
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    _, failed = all_of(Archive(path))
    assert "encrypted" in failed["cat/1.png"]
