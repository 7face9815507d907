"""The file that pages and projects are made of, with everything a client of it has to know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from edgeproof.runtime import golden, modelfile
from edgeproof.runtime.contract import Contract, sha256
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.golden import Examples
from edgeproof.runtime.modelfile import ModelFile
from edgeproof.runtime.pixels import SUFFIXES
from edgeproof.runtime.replay import FLOOR


@dataclass(frozen=True)
class Subject:
    """A model file that describes itself: its `contract`, its `labels` in the order of the outputs, and its bytes."""

    file: ModelFile
    contract: Contract
    labels: tuple[str, ...]

    @cached_property
    def content(self) -> bytes:
        """The whole file, with what is appended to it."""
        return modelfile.pack(self.file.flatbuffer, self.file.attachments)

    @cached_property
    def sha256(self) -> str:
        """Of the whole file."""
        return sha256(self.content)

    @property
    def tolerance(self) -> float:
        """Up to which mean total variation distance, 0 to 1, answers to the golden examples are sound."""
        return FLOOR if self.contract.golden is None else max(FLOOR, self.contract.golden.tolerance)

    @cached_property
    def examples(self) -> Examples | None:
        """The golden examples, or None for a file that was exported without."""
        return golden.read(self.file) if self.contract.golden is not None else None


def read(path: str | Path) -> Subject:
    """Read a file that edgeproof exported. Raises `ModelError` for another tool's, which says too little of itself."""
    file = modelfile.read(path)
    if file.contract is None or file.labels is None:
        raise ModelError(f"{path} carries no contract, so its preprocessing is not known. Export it with edgeproof.")
    return Subject(file, file.contract, file.labels)


def suffix(name: str) -> str:
    """That of a golden picture's name, with its point, or .img: a name in a file could be anything."""
    found = PurePosixPath(name).suffix.lower()
    return found if found in SUFFIXES else ".img"
