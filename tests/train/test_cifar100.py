import gzip
import io
import os
import pickle
import random
import tarfile

import numpy as np
import pytest

from edgeproof.runtime import DataError
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import cifar100

CHAIN = Preprocessing(steps=(Resize(width=32, height=32), Resize(width=96, height=96)))
GENERATOR = np.random.default_rng(0)
PIXELS = {"train": GENERATOR.integers(0, 256, (6, 32, 32, 3), np.uint8)}
PIXELS["test"] = GENERATOR.integers(0, 256, (3, 32, 32, 3), np.uint8)
CLASSES = {"train": [0, 99, 5, 5, 17, 42], "test": [99, 1, 0]}


def table(part, **changes):
    """A part as the authors publish it: rows of 3072 bytes, channel by channel, under keys of bytes."""
    rows = PIXELS[part].transpose(0, 3, 1, 2).reshape(-1, 3072)
    content = {
        b"filenames": [f"{part}_{i}.png".encode() for i in range(len(rows))],
        b"batch_label": b"of " + part.encode(),
        b"fine_labels": CLASSES[part],
        b"coarse_labels": [0] * len(rows),
        b"data": rows,
    }
    return content | {key.encode(): value for key, value in changes.items()}


def as_original(content):
    """Pickled with protocol 2, as the published files are, and with the module names of NumPy 1."""
    return pickle.dumps(content, protocol=2).replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")


def put(folder, **parts):
    for name in ("train", "test"):
        content = parts.get(name, as_original(table(name)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "meta").write_bytes(b"not looked at")
    return folder


def packed(folder):
    path = folder.with_name("cifar-100-python.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "cifar-100-python")
    return path


@pytest.fixture(params=["folder", "tar.gz"])
def source_of(request, tmp_path):
    """Write the data set with some parts replaced, and return its path."""

    def make(**parts):
        folder = put(tmp_path / "cifar-100-python", **parts)
        return folder if request.param == "folder" else packed(folder)

    return make


def test_pictures_and_labels_are_read_as_they_were_published(source_of):
    path = source_of()
    assert cifar100.is_archive(path)
    for part, found in zip(("train", "test"), cifar100.load(str(path), CHAIN), strict=True):
        np.testing.assert_array_equal(found.stored, PIXELS[part])
        assert found.classes.tolist() == CLASSES[part]
        assert found.names[0] == f"{part}/00000"
        assert found.labels == cifar100.LABELS


def test_the_100_labels_are_in_alphabetical_order():
    assert len(cifar100.LABELS) == 100
    assert list(cifar100.LABELS) == sorted(cifar100.LABELS)
    assert cifar100.LABELS[:2] == ("apple", "aquarium_fish")


def test_a_pickle_of_a_newer_numpy_is_read(source_of):
    train, _ = cifar100.load(str(source_of(train=pickle.dumps(table("train"), protocol=4))), CHAIN)
    np.testing.assert_array_equal(train.stored, PIXELS["train"])


class Command:
    """Pickled, it is a call of `os.system`."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_calls_a_command_is_refused_and_the_command_is_not_run(source_of, tmp_path):
    trace = tmp_path / "trace"
    malicious = pickle.dumps(table("train", data=Command(f"touch {trace}")), protocol=2)
    with pytest.raises(DataError, match=r"holds no CIFAR-100 that can be read safely \(it asks for posix\.system\)"):
        cifar100.load(str(source_of(train=malicious)), CHAIN)
    assert not trace.exists()
    pickle.loads(malicious)  # the pickle itself works: it was the reader that refused it
    assert trace.exists()


@pytest.mark.parametrize("name", ["builtins eval", "numpy load", "numpy.core.multiarray scalar", "pickle loads"])
def test_a_pickle_that_asks_for_anything_but_arrays_is_refused(name, tmp_path):
    module, function = name.split()
    content = f"c{module}\n{function}\n(S'x'\ntR.".encode()
    with pytest.raises(DataError, match=rf"it asks for {module}\.{function}"):
        cifar100.load(str(put(tmp_path / "cifar-100-python", train=content)), CHAIN)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"words",
        as_original(table("train"))[:2000],
        as_original(["a", "list"]),
        as_original({b"data": table("train")[b"data"]}),
        as_original(table("train", data=[[1, 2, 3]])),
        as_original(table("train", fine_labels=["apple"] * 6)),
        as_original(table("train", fine_labels=[0] * 5)),
        as_original(table("train", fine_labels=[0, 1, 2, 3, 4, 100])),
        as_original(table("train", fine_labels=[0, 1, 2, 3, 4, -1])),
    ],
    ids=["empty", "text", "cut", "list", "no labels", "no pictures", "words", "fewer labels", "label 100", "label -1"],
)
def test_a_part_that_is_not_cifar100_is_refused(content, source_of):
    with pytest.raises(DataError, match=r"cifar-100-python.* holds no CIFAR-100 that can be read safely"):
        cifar100.load(str(source_of(train=content)), CHAIN)


def test_a_damaged_part_is_read_or_refused_and_never_a_traceback(tmp_path):
    whole, chance, refused = as_original(table("test")), random.Random(1), 0
    for turn in range(300):
        damaged = bytearray(whole)
        for _ in range(3):
            # The end and the beginning hold the commands; the middle is pixels.
            place = chance.randrange(400) if turn % 2 else chance.randrange(len(whole) - 250, len(whole))
            damaged[place] = chance.randrange(256)
        folder = put(tmp_path / "cifar-100-python", test=bytes(damaged))
        try:
            cifar100.load(str(folder), CHAIN)
        except DataError:
            refused += 1
    assert refused > 30


def test_a_folder_without_its_test_part_is_refused(tmp_path):
    folder = put(tmp_path / "cifar-100-python")
    (folder / "test").unlink()
    with pytest.raises(DataError, match=r"cifar-100-python is no archive of CIFAR-100 .*Download it again"):
        cifar100.load(str(folder), CHAIN)


def test_a_truncated_or_damaged_archive_is_refused(tmp_path):
    path = packed(put(tmp_path / "cifar-100-python"))
    whole = path.read_bytes()
    for content in (b"", b"words", whole[:100], whole[: len(whole) // 2], whole[:3000] + bytes(50) + whole[3050:]):
        path.write_bytes(content)
        with pytest.raises(
            DataError, match=r"cifar-100-python\.tar\.gz is no archive of CIFAR-100 .*Download it again"
        ):
            cifar100.load(str(path), CHAIN)


def test_an_archive_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("train"), io.BytesIO())
    with pytest.raises(DataError, match="is no archive of CIFAR-100"):
        cifar100.load(str(path), CHAIN)
    path.write_bytes(gzip.compress(b"words"))
    with pytest.raises(DataError, match="is no archive of CIFAR-100"):
        cifar100.load(str(path), CHAIN)


def test_only_the_published_forms_are_taken_for_the_archive(tmp_path):
    assert not cifar100.is_archive(tmp_path)
    assert not cifar100.is_archive(tmp_path / "gone.tar.gz")
    (tmp_path / "train").mkdir()  # a folder of classes
    assert not cifar100.is_archive(tmp_path)


def test_where_keras_cannot_get_it_the_ways_out_are_named(monkeypatch):
    keras = pytest.importorskip("keras", reason="needs the train extra")

    def fail():
        raise Exception("URL fetch failure on https://example.org: None -- no route\nmore")

    monkeypatch.setattr(keras.datasets.cifar100, "load_data", fail)
    with pytest.raises(DataError, match=r"cifar100: Keras could neither .*\(URL fetch failure.*\).*or give --data"):
        cifar100.load("cifar100", CHAIN)


def test_what_keras_finds_is_taken(monkeypatch):
    keras = pytest.importorskip("keras", reason="needs the train extra")
    parts = tuple((PIXELS[name], np.array(CLASSES[name])[:, np.newaxis]) for name in ("train", "test"))
    monkeypatch.setattr(keras.datasets.cifar100, "load_data", lambda: parts)
    train, test = cifar100.load("cifar100", CHAIN)
    np.testing.assert_array_equal(train.stored, PIXELS["train"])
    assert test.classes.tolist() == CLASSES["test"]
