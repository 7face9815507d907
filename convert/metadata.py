"""TFLite Metadata: what other tools read from a file, written into its flatbuffer. See docs/model-file.md.

The tables and their field numbers are those of the public schema `metadata_schema.fbs`, version 1.0 (identifier
M001); plain `flatbuffers` writes them, because the official writers no longer install beside a current TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME
from edgeproof.runtime.graph import Graph

METADATA_NAME = b"TFLITE_METADATA"
METADATA_IDENTIFIER = b"M001"

# Enumerations of the schema.
_DESCRIPTIONS, _AXIS_LABELS = 1, 2
_RGB = 1
_IMAGE_PROPERTIES = 2
_NORMALIZATION = 1


def with_metadata(
    flatbuffer: bytes, *, name: str, description: str, size: tuple[int, int], author: str = "", license: str = ""
) -> bytes:
    """The flatbuffer with metadata for an image classifier of raw RGB pixels, `size` = (height, width)."""
    graph = Graph.read(flatbuffer)
    model = graph.model
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(
        metadata(name=name, description=description, size=size, author=author, license=license), np.uint8
    )
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers) - 1
    kept = [old for old in model.metadata or [] if old.name != METADATA_NAME]
    model.metadata = [*kept, entry]
    return graph.packed()


def metadata(*, name: str, description: str, size: tuple[int, int], author: str = "", license: str = "") -> bytes:
    """The metadata flatbuffer: raw pixels (mean 0, std 1), labels for the output, the contract as a file.

    An empty author or licence is left out.
    """
    write = _Tables()
    height, width = size
    picture = write.table({0: _byte(_RGB), 1: write.table({0: _uint(width), 1: _uint(height)})})
    content = write.table({0: _byte(_IMAGE_PROPERTIES), 1: picture})
    raw = write.table({0: write.floats([0.0]), 1: write.floats([1.0])})
    taken = write.table(
        {
            0: write.text("image"),
            1: write.text("Raw RGB pixels, 0 to 255."),
            3: content,
            4: write.tables([write.table({0: _byte(_NORMALIZATION), 1: raw})]),
            5: write.table({0: write.floats([255.0]), 1: write.floats([0.0])}),
        }
    )
    labels = write.file(LABELS_NAME, "Class names in the order of the outputs.", _AXIS_LABELS)
    given = write.table(
        {
            0: write.text("probability"),
            1: write.text("Probability of each class."),
            6: write.tables([labels]),
        }
    )
    contract = write.file(CONTRACT_NAME, "Contract: preprocessing, verification, provenance.", _DESCRIPTIONS)
    subgraph = write.table({2: write.tables([taken]), 3: write.tables([given])})
    root = write.table(
        {
            0: write.text(name),
            1: write.text(description),
            2: write.text("v1"),
            3: write.tables([subgraph]),
            **{number: write.text(words) for number, words in ((4, author), (5, license)) if words},
            6: write.tables([contract]),
            7: write.text("1.0.0"),
        }
    )
    write.builder.Finish(root, file_identifier=METADATA_IDENTIFIER)
    return bytes(write.builder.Output())


class _Tables:
    """Writes flatbuffer tables by field number; inner ones first, as the format demands."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)

    def text(self, content: str) -> int:
        return int(self.builder.CreateString(content))

    def floats(self, values: Sequence[float]) -> int:
        return int(self.builder.CreateNumpyVector(np.array(values, np.float32)))

    def tables(self, offsets: Sequence[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def file(self, name: str, description: str, kind: int) -> int:
        return self.table({0: self.text(name), 1: self.text(description), 2: _byte(kind)})

    def table(self, fields: dict[int, Any]) -> int:
        self.builder.StartObject(max(fields) + 1)
        for number, value in fields.items():
            if isinstance(value, _Scalar):
                value.prepend(self.builder, number)
            else:
                self.builder.PrependUOffsetTRelativeSlot(number, value, 0)
        return int(self.builder.EndObject())


class _Scalar:
    def __init__(self, kind: str, value: int) -> None:
        self.kind, self.value = kind, value

    def prepend(self, builder: Any, number: int) -> None:
        getattr(builder, f"Prepend{self.kind}Slot")(number, self.value, 0)


def _byte(value: int) -> _Scalar:
    return _Scalar("Uint8", value)


def _uint(value: int) -> _Scalar:
    return _Scalar("Uint32", value)
