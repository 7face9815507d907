"""Reads TFLite Metadata: what a file says of itself to other tools, from any writer. See docs/model-file.md.

The tables and their field numbers are those of the public schema `metadata_schema.fbs` (identifier M001).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flatbuffers import encode, number_types, packer, table

from edgeproof.runtime.errors import ModelError

METADATA_NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
COLOURS = ("UNKNOWN", "RGB", "GRAYSCALE")
CONTENTS = ("", "feature", "image", "bounding box", "audio")
FILES = ("UNKNOWN", "DESCRIPTIONS", "AXIS_LABELS", "VALUE_LABELS", "SCORE_CALIBRATION", "VOCABULARY", "SCANN_INDEX")
_NORMALISATION = 1
Read = TypeVar("Read")


class Normalisation(msgspec.Struct, frozen=True, kw_only=True):
    """A client must feed (value - mean) / std: one number for all channels, or one each."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class AttachedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the metadata says is appended. `kind` is the schema's name, such as AXIS_LABELS."""

    name: str
    kind: str
    description: str = ""


class TensorMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one input or output. `size` is (height, width) of an image, `colour` its colour space."""

    name: str = ""
    description: str = ""
    content: str = ""
    colour: str | None = None
    size: tuple[int, int] | None = None
    normalisation: Normalisation | None = None
    largest: tuple[float, ...] = ()
    least: tuple[float, ...] = ()
    files: tuple[AttachedFile, ...] = ()


class TfliteMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of a file's metadata; what it leaves out is empty."""

    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    license: str = ""
    parser_version: str = ""
    inputs: tuple[TensorMetadata, ...] = ()
    outputs: tuple[TensorMetadata, ...] = ()
    files: tuple[AttachedFile, ...] = ()

    @property
    def all_files(self) -> tuple[AttachedFile, ...]:
        """Every file that is named anywhere."""
        return self.files + tuple(file for tensor in self.inputs + self.outputs for file in tensor.files)


def decode(content: bytes) -> TfliteMetadata:
    """Read a metadata flatbuffer. Raises `ModelError` where it is none or damaged."""
    if content[4:8] != IDENTIFIER:
        raise ModelError(f"Its {METADATA_NAME} lacks the mark M001. Write the metadata again.")
    try:
        return _root(_Table(content, encode.Get(packer.uoffset, content, 0)))
    except (struct.error, IndexError, ValueError, TypeError, OverflowError) as error:
        raise ModelError(f"Its {METADATA_NAME} is damaged ({error}). Write the metadata again.") from None


def _root(root: _Table) -> TfliteMetadata:
    subgraphs = root.tables(3, lambda each: (each.tables(2, _tensor), each.tables(3, _tensor)))
    inputs, outputs = subgraphs[0] if subgraphs else ((), ())
    return TfliteMetadata(
        name=root.text(0),
        description=root.text(1),
        version=root.text(2),
        author=root.text(4),
        license=root.text(5),
        parser_version=root.text(7),
        inputs=inputs,
        outputs=outputs,
        files=root.tables(6, _file),
    )


def _tensor(described: _Table) -> TensorMetadata:
    content = described.table(3)
    kind = _named(CONTENTS, content.byte(0)) if content else ""
    image = content.table(1) if content and kind == "image" else None
    side = image.table(1) if image else None
    steps = [step for step in described.tables(4, _normalisation) if step is not None]
    stats = described.table(5)
    return TensorMetadata(
        name=described.text(0),
        description=described.text(1),
        content=kind,
        colour=_named(COLOURS, image.byte(0)) if image else None,
        size=(side.uint(1), side.uint(0)) if side else None,
        normalisation=steps[0] if steps else None,
        largest=stats.floats(0) if stats else (),
        least=stats.floats(1) if stats else (),
        files=described.tables(6, _file),
    )


def _normalisation(step: _Table) -> Normalisation | None:
    options = step.table(1)
    if step.byte(0) != _NORMALISATION or options is None:
        return None
    return Normalisation(mean=options.floats(0), std=options.floats(1))


def _file(described: _Table) -> AttachedFile:
    return AttachedFile(name=described.text(0), description=described.text(1), kind=_named(FILES, described.byte(2)))


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"unknown ({number})"


class _Table:
    """Reads a flatbuffer table by field number; a field that is left out is empty, zero or None."""

    def __init__(self, content: bytes, place: int) -> None:
        self._table = table.Table(content, place)

    def _at(self, field: int) -> int:
        return int(self._table.Offset(4 + 2 * field))

    def text(self, field: int) -> str:
        at = self._at(field)
        return bytes(self._table.String(at + self._table.Pos)).decode("utf-8", "replace") if at else ""

    def byte(self, field: int) -> int:
        return self._scalar(field, number_types.Uint8Flags)

    def uint(self, field: int) -> int:
        return self._scalar(field, number_types.Uint32Flags)

    def floats(self, field: int) -> tuple[float, ...]:
        at = self._at(field)
        if not at:
            return ()
        start = self._table.Vector(at)
        places = range(start, start + 4 * self._length(at), 4)
        return tuple(float(self._table.Get(number_types.Float32Flags, place)) for place in places)

    def table(self, field: int) -> _Table | None:
        at = self._at(field)
        return _Table(self._table.Bytes, self._table.Indirect(at + self._table.Pos)) if at else None

    def tables(self, field: int, read: Callable[[_Table], Read]) -> tuple[Read, ...]:
        at = self._at(field)
        if not at:
            return ()
        start = self._table.Vector(at)
        places = range(start, start + 4 * self._length(at), 4)
        return tuple(read(_Table(self._table.Bytes, self._table.Indirect(place))) for place in places)

    def _scalar(self, field: int, flags: Any) -> int:
        at = self._at(field)
        return int(self._table.Get(flags, at + self._table.Pos)) if at else 0

    def _length(self, at: int) -> int:
        count = int(self._table.VectorLen(at))
        if 4 * count > len(self._table.Bytes):
            raise ValueError(f"a list of {count}")
        return count
