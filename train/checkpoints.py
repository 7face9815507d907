"""What a killed training resumes from: every variable between two steps, two files kept, each checked by its hash."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.atomic import replacing, write_bytes
from edgeproof.runtime.contract import sha256
from edgeproof.train.history import Epoch

logger = logging.getLogger(__name__)
KEPT = 2
PHASES = ("head", "finetune")
BEST = "best"

Arrays = Sequence[NDArray[Any]]


class Note(msgspec.Struct, frozen=True):
    """What stands beside the arrays: which phase, how many of its steps are done, the epochs so far, and their hash."""

    phase: str
    step: int
    history: tuple[Epoch, ...]
    arrays: str
    sha256: str


@dataclass(frozen=True)
class Checkpoint:
    """A training between two steps: variables of the whole network, and of the optimiser and metrics of its phase."""

    phase: str
    step: int
    history: tuple[Epoch, ...]
    network: Arrays
    rest: Arrays


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Save a checkpoint beside the last one. The note goes last, so one that is there has its arrays.

    Raises `DataError` when the disk is full; those that are there stay as they are.
    """
    stem = f"{PHASES.index(checkpoint.phase) + 1}-{checkpoint.step:09}"
    _write(checkpoint, folder / f"{stem}.npz", folder / f"{stem}.json")
    for old in _notes(folder)[KEPT:]:
        old.unlink()
    for arrays in folder.glob("[0-9]*.npz"):  # also those that a killed process, or a full disk, left without a note
        if not arrays.with_suffix(".json").is_file():
            arrays.unlink()


def save_best(folder: Path, checkpoint: Checkpoint) -> None:
    """Save a checkpoint in the place of the best one so far; it is not among those that are resumed from."""
    arrays = folder / f"{BEST}-{checkpoint.step:09}.npz"
    _write(checkpoint, arrays, folder / f"{BEST}.json")
    for old in folder.glob(f"{BEST}-*.npz"):
        if old != arrays:
            old.unlink()


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are passed over with a warning."""
    return next((found for note in _notes(folder) if (found := _read(note)) is not None), None)


def best(folder: Path) -> Checkpoint | None:
    """The best checkpoint so far, if there is one and it is whole."""
    note = folder / f"{BEST}.json"
    return _read(note) if note.is_file() else None


def there(folder: Path) -> bool:
    """Whether there is anything to resume from, whole or not."""
    return bool(_notes(folder))


def newest(folder: Path) -> Path | None:
    """The file of arrays of the newest checkpoint, for people, whole or not."""
    return next((note.with_suffix(".npz") for note in _notes(folder)), None)


def _write(checkpoint: Checkpoint, arrays: Path, note: Path) -> None:
    named: dict[str, Any] = {f"network-{number:04}": array for number, array in enumerate(checkpoint.network)}
    named |= {f"rest-{number:04}": array for number, array in enumerate(checkpoint.rest)}
    content = io.BytesIO()
    np.savez(content, **named)
    with replacing(arrays) as temporary:
        temporary.write_bytes(content.getbuffer())
    about = Note(checkpoint.phase, checkpoint.step, checkpoint.history, arrays.name, sha256(content.getvalue()))
    write_bytes(note, msgspec.json.encode(about))


def _notes(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("[0-9]*.json"), reverse=True)


def _read(note: Path) -> Checkpoint | None:
    try:
        about = msgspec.json.decode(note.read_bytes(), type=Note)
        content = (note.parent / about.arrays).read_bytes()
        if sha256(content) != about.sha256:
            raise ValueError("it does not match its checksum")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            named = {name: arrays[name] for name in sorted(arrays.files)}
    except (OSError, ValueError, msgspec.MsgspecError, zipfile.BadZipFile) as error:
        logger.warning("checkpoint %s is passed over: %s", note.name, error)
        return None
    network, rest = ([array for name, array in named.items() if name.startswith(kind)] for kind in ("network", "rest"))
    return Checkpoint(about.phase, about.step, about.history, network, rest)
