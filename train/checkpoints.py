"""What a killed training resumes from: the model with its optimiser after an epoch, two kept, checked by hash."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import msgspec

from edgeproof.runtime.atomic import replacing, write_bytes
from edgeproof.runtime.contract import sha256
from edgeproof.train.history import Epoch

logger = logging.getLogger(__name__)
KEPT = 2


class State(msgspec.Struct, frozen=True):
    """The note beside a checkpoint: which model file, its hash, and the epochs so far."""

    model: str
    sha256: str
    history: tuple[Epoch, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A model as it was after its history."""

    model: Any
    history: tuple[Epoch, ...]


def save(folder: Path, model: Any, history: Sequence[Epoch]) -> None:
    """Save a compiled model after an epoch. The note goes last, so a checkpoint that has one is whole."""
    name = f"epoch-{len(history):03}"
    path = folder / f"{name}.keras"
    with replacing(path) as temporary:
        model.save(temporary)
    state = State(path.name, sha256(path.read_bytes()), tuple(history))
    write_bytes(folder / f"{name}.json", msgspec.json.encode(state))
    for old in sorted(folder.glob("epoch-*.json"))[:-KEPT]:
        old.unlink()
        old.with_suffix(".keras").unlink(missing_ok=True)


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are passed over with a warning."""
    for note in sorted(folder.glob("epoch-*.json"), reverse=True):
        try:
            state = msgspec.json.decode(note.read_bytes(), type=State)
            path = folder / state.model
            if sha256(path.read_bytes()) != state.sha256:
                raise ValueError("it does not match its checksum")
            return Checkpoint(keras.models.load_model(path), state.history)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            logger.warning("checkpoint %s is passed over: %s", note.name, error)
    return None
