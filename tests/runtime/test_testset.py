import logging
import random
import zipfile
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime import DataError, testset
from edgeproof.runtime.pixels import Preprocessing, Resize

SETTINGS = Preprocessing(steps=(Resize(width=4, height=4), Resize(width=8, height=8)))
LABELS = ("cat", "dog")


def put(folder, *names):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6), (number, 0, 0)).save(path)
    return folder


def same(one, other):
    return (
        (one.labels, one.names, one.hashes, one.preprocessing)
        == (other.labels, other.names, other.hashes, other.preprocessing)
        and np.array_equal(one.classes, other.classes)
        and np.array_equal(one.stored, other.stored)
    )


def test_what_is_written_is_read_again(tiny_pictures, tmp_path):
    testset.write(tmp_path / testset.NAME, tiny_pictures)
    found = testset.read(tmp_path / testset.NAME)
    assert same(found, tiny_pictures)
    assert found.classes.dtype == np.int64
    assert {type(text) for text in (*found.labels, *found.names, *found.hashes)} == {str}


def test_pictures_outside_memory_are_written_in_parts(tiny_pictures, watched_view, tmp_path):
    numbers = np.arange(600) % len(tiny_pictures)
    many = replace(tiny_pictures.take(numbers), stored=watched_view(tiny_pictures.stored, numbers))
    testset.write(tmp_path / testset.NAME, many)
    assert max(many.stored.sizes) <= testset.PART < len(many)
    assert same(testset.read(tmp_path / testset.NAME), tiny_pictures.take(numbers))


def test_the_identity_of_pictures_is_read_without_them(tiny_pictures, tmp_path):
    testset.write(tmp_path / testset.NAME, tiny_pictures)
    assert testset.read_identity(tmp_path / testset.NAME) == (tiny_pictures.labels, tiny_pictures.hashes)
    (tmp_path / testset.NAME).write_bytes(b"words")
    with pytest.raises(DataError, match=r"cannot be read .+\. Train again"):
        testset.read_identity(tmp_path / testset.NAME)


def test_a_run_folder_and_its_file_are_the_same_pictures(tiny_pictures, tmp_path):
    testset.write(tmp_path / testset.NAME, tiny_pictures)
    for source in (tmp_path, tmp_path / testset.NAME, str(tmp_path)):
        assert same(testset.load(source, SETTINGS, tiny_pictures.labels), tiny_pictures)


def test_of_a_folder_with_train_and_test_only_test_is_taken(tmp_path):
    put(tmp_path, "train/cat/1.png", "test/cat/2.png", "test/dog/3.png")
    assert testset.load(tmp_path, SETTINGS, LABELS).names == ("test/cat/2.png", "test/dog/3.png")


def test_a_folder_without_parts_is_taken_whole_and_keeps_the_models_classes(tmp_path):
    found = testset.load(put(tmp_path, "dog/1.png"), SETTINGS, LABELS)
    assert found.names == ("dog/1.png",)
    assert found.labels == LABELS
    assert found.classes.tolist() == [1]


def test_a_zip_is_taken_like_a_folder(tmp_path):
    put(tmp_path / "pictures", "cat/1.png", "dog/2.png")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for name in ("cat/1.png", "dog/2.png"):
            archive.write(tmp_path / "pictures" / name, name)
    one, other = (testset.load(tmp_path / name, SETTINGS, LABELS) for name in ("pictures", "pictures.zip"))
    assert same(one, other)


def test_pictures_that_cannot_be_decoded_are_left_out_and_logged(tmp_path, caplog):
    put(tmp_path, "cat/1.png", "dog/2.png")
    (tmp_path / "dog" / "3.png").write_bytes(b"words")
    with caplog.at_level(logging.WARNING):
        assert len(testset.load(tmp_path, SETTINGS, LABELS)) == 2
    assert "3.png" in caplog.text or "left out" in caplog.text


def test_sources_without_usable_pictures_say_why(tmp_path):
    with pytest.raises(DataError, match=r"no test pictures in it\. Expected test/<class>/\* or <class>/\*"):
        testset.load(tmp_path, SETTINGS, LABELS)
    put(tmp_path, "emu/1.png")
    with pytest.raises(DataError, match="its class 'emu' is not among the model's labels"):
        testset.load(tmp_path, SETTINGS, LABELS)
    (tmp_path / "emu" / "1.png").write_bytes(b"words")
    with pytest.raises(DataError, match="none of 1 pictures can be decoded"):
        testset.load(tmp_path, SETTINGS, ("emu",))
    with pytest.raises(DataError, match="no such file or folder"):
        testset.load(tmp_path / "gone", SETTINGS, LABELS)


def test_a_damaged_file_is_read_as_it_was_or_is_a_data_error(tiny_pictures, tmp_path):
    path, chance = tmp_path / testset.NAME, random.Random(1)
    testset.write(path, tiny_pictures)
    content, outcomes = path.read_bytes(), set()
    for turn in range(400):
        damaged = bytearray(content[: chance.randrange(len(content))] if turn % 5 == 0 else content)
        if damaged:
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            assert same(testset.read(path), tiny_pictures)
            outcomes.add("as it was")
        except DataError:
            outcomes.add("refused")
    assert outcomes == {"as it was", "refused"}


def test_other_files_of_numpy_are_refused(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "parts.npz", stored=np.zeros(3))
    np.savez(tmp_path / "objects.npz", preprocessing=np.array([{}], object))
    settings = np.frombuffer(msgspec.json.encode({"steps": []}), np.uint8)
    np.savez(tmp_path / "steps.npz", preprocessing=settings)
    for name in ("one.npy", "parts.npz", "objects.npz", "steps.npz", "gone.npz"):
        with pytest.raises(DataError, match=rf"{name}: its test pictures cannot be read"):
            testset.read(tmp_path / name)
