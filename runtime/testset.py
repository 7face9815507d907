"""The labelled pictures that a file is judged on: a run's `test.npz`, or a folder or zip of pictures."""

from __future__ import annotations

import io
import logging
import zipfile
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import labelled
from edgeproof.runtime.atomic import replacing
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import Archive, LabelledPictures
from edgeproof.runtime.pixels import Preprocessing

logger = logging.getLogger(__name__)
NAME = "test.npz"
PART = 256
# What np.load, zipfile, zlib and msgspec raise on what is not a whole archive of plain arrays.
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
    msgspec.MsgspecError,
)


def load(source: str | Path, preprocessing: Preprocessing, labels: tuple[str, ...]) -> LabelledPictures:
    """Test pictures from a run folder, its test.npz, or a folder or zip with `test/<class>/*` or `<class>/*`.

    Raises `DataError` when there are none, or when their classes are not among the labels.
    """
    path = Path(source)
    kept = path / NAME if path.is_dir() else path
    if kept.name.endswith(".npz") and kept.is_file():
        return read(kept)
    archive = Archive(path)
    items = labelled.judged(labelled.find(archive))
    if not items:
        raise DataError(f"{path}: no test pictures in it. Expected test/<class>/* or <class>/*.")
    unknown = sorted({item.label for item in items} - set(labels))
    if unknown:
        raise DataError(f"{path}: its class '{unknown[0]}' is not among the model's labels. Give matching data.")
    pictures, failed = labelled.decode(archive, items, preprocessing, labels, description="Test pictures")
    if not len(pictures):
        raise DataError(f"{path}: none of {len(items)} pictures can be decoded. Give other pictures.")
    for reason in list(failed.values())[:5]:
        logger.warning("left out: %s", reason)
    return pictures


def write(path: str | Path, pictures: LabelledPictures) -> None:
    """Write pictures as one compressed .npz of plain arrays, whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {
        "classes": pictures.classes,
        "names": np.array(pictures.names),
        "hashes": np.array(pictures.hashes),
        "labels": np.array(pictures.labels),
        "preprocessing": np.frombuffer(msgspec.json.encode(pictures.preprocessing), np.uint8),
    }
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("stored.npy", "w", force_zip64=True) as entry:
            header = {"descr": "|u1", "fortran_order": False, "shape": pictures.stored.shape}
            np.lib.format.write_array_header_1_0(entry, header)
            # In parts: the pictures need not fit into memory.
            for start in range(0, len(pictures), PART):
                entry.write(pictures.stored[start : start + PART].tobytes())
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def read_identity(path: str | Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels and hashes of pictures that `write` wrote, without the pictures. Raises `DataError`."""
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return tuple(arrays["labels"].tolist()), tuple(arrays["hashes"].tolist())
    except _DAMAGED as error:
        raise DataError(f"{path}: its test pictures cannot be read ({error}). Train again.") from None


def read(path: str | Path) -> LabelledPictures:
    """Read pictures that `write` wrote. Raises `DataError` for anything else."""
    try:
        # From memory: np.load leaves a file that is no archive open.
        content = io.BytesIO(Path(path).read_bytes())
        with np.load(content, allow_pickle=False) as arrays:
            chain = msgspec.json.decode(arrays["preprocessing"].tobytes(), type=Preprocessing)
            return LabelledPictures(
                labels=tuple(arrays["labels"].tolist()),
                names=tuple(arrays["names"].tolist()),
                classes=arrays["classes"].astype(np.int64),
                stored=arrays["stored"],
                hashes=tuple(arrays["hashes"].tolist()),
                preprocessing=chain,
            )
    except _DAMAGED as error:
        raise DataError(f"{path}: its test pictures cannot be read ({error}). Train again.") from None
