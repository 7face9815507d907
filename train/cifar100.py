"""CIFAR-100 from Keras' cache, or from a local `cifar-100-python` folder or archive, read without running its code."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.errors import DataError, first_line
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing
from edgeproof.train.digits import pictures

SIZE = 32
FOLDER = "cifar-100-python"

# The data set's 100 fine labels in its own (alphabetical) order; Keras' loader returns their numbers only.
LABELS = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
    man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
    pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
    skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
    tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()
)


def is_archive(path: Path) -> bool:
    """Whether a path is the data set as its authors publish it: the folder, or the archive of it."""
    return (path.is_file() and path.name.endswith((".tar.gz", ".tgz"))) or (path / "train").is_file()


def load(source: str, preprocessing: Preprocessing) -> tuple[LabelledPictures, LabelledPictures]:
    """The 50,000 training and 10,000 test pictures. Raises `DataError` when they cannot be had."""
    parts = _from_keras() if source == "cifar100" else _from_archive(Path(source))
    train, test = (
        pictures(images, classes, LABELS, tuple(f"{name}/{i:05}" for i in range(len(classes))), preprocessing)
        for name, (images, classes) in zip(("train", "test"), parts, strict=True)
    )
    return train, test


Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


def _from_keras() -> tuple[Part, Part]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar100.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise DataError(
            f"cifar100: Keras could neither find it in its cache nor download it ({first_line(error)[:120]}). "
            f"Connect to the network, or give --data the path of {FOLDER}.tar.gz or of a folder or zip of pictures."
        ) from None
    return (x_train, y_train.ravel().astype(np.int64)), (x_test, y_test.ravel().astype(np.int64))


def _from_archive(path: Path) -> tuple[Part, Part]:
    try:
        if path.is_dir():
            train, test = ((path / name).read_bytes() for name in ("train", "test"))
        else:
            train, test = _unpacked(path)
    except (OSError, EOFError, tarfile.TarError, zlib.error, KeyError, ValueError) as error:
        raise DataError(f"{path} is no archive of CIFAR-100 ({first_line(error)}). Download it again.") from None
    return _part(train, path), _part(test, path)


def _unpacked(path: Path) -> tuple[bytes, bytes]:
    with tarfile.open(path) as archive:
        members = {Path(member.name).name: member for member in archive.getmembers() if member.isfile()}
        contents = [archive.extractfile(members[name]) for name in ("train", "test")]
        train, test = (content.read() for content in contents if content is not None)
    return train, test


def _part(content: bytes, where: Path) -> Part:
    try:
        table = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
        images = np.asarray(table[b"data"], np.uint8).reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1)
        classes = np.asarray(table[b"fine_labels"], np.int64)
        if classes.shape != images.shape[:1] or not np.isin(classes, np.arange(len(LABELS))).all():
            raise ValueError("its labels do not fit its pictures")
        return np.ascontiguousarray(images), classes
    except (
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        MemoryError,
    ) as error:
        raise DataError(f"{where} holds no CIFAR-100 that can be read safely ({error}). Download it again.") from None


class _ArraysOnly(pickle.Unpickler):
    """Rebuilds NumPy arrays and plain values; refuses to look up anything else that a pickle could call."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _reconstruct
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _latin1(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


def _reconstruct(kind: Any, shape: tuple[int, ...], dtype: bytes) -> NDArray[Any]:
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it asks for an array of type {kind}")
    return np.ndarray(shape, dtype=np.dtype(dtype.decode() if isinstance(dtype, bytes) else dtype))
