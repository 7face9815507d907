"""Reads a model's tables out of a flatbuffer and checks every offset: nothing outside of the bytes is touched.

The field numbers are those of the TFLite schema. All that LiteRT reads of a classifier is read here too, so that
LiteRT, which checks no offset of its own accord, finds none that leads out of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edgeproof.runtime.errors import ModelError

# More of them is no model but an attack on the reader's time.
ENTRIES_LIMIT = 20_000
_U16, _I32, _U32 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")
_SCALARS = {
    "i8": (struct.Struct("<b"), 1),
    "u8": (struct.Struct("<B"), 1),
    "bool": (struct.Struct("<?"), 1),
    "i32": (_I32, 4),
    "u32": (_U32, 4),
    "u64": (struct.Struct("<Q"), 8),
    "f32": (struct.Struct("<f"), 4),
}
_ITEMS = {"u8": "<u1", "bool": "<u1", "i32": "<i4", "i64": "<i8", "f32": "<f4"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table: its number, its kind and what it is where it is left out.

    Kinds: a scalar (`i32`), `string`, `span` (bytes, given as start and length), `table`, and lists of scalars
    (`[i32]`) or of tables (`[table]`); `of` names the fields of those tables.
    """

    slot: int
    kind: str
    default: Any = None
    of: Mapping[str, Field] | None = None


def _plain(**fields: tuple[int, str, Any]) -> dict[str, Field]:
    return {name: Field(*field) for name, field in fields.items()}


_CODE = _plain(old_code=(0, "i8", 0), custom_code=(1, "string", ""), version=(2, "i32", 1), code=(3, "i32", 0))
_SCALES = _plain(
    **{"min": (0, "[f32]", None), "max": (1, "[f32]", None), "scale": (2, "[f32]", None)},
    **{"zero_point": (3, "[i64]", None), "details_type": (4, "u8", 0), "axis": (6, "i32", 0)},
)
_TENSOR = {
    **_plain(shape=(0, "[i32]", None), type=(1, "i8", 0), buffer=(2, "u32", 0), name=(3, "string", "")),
    "quantisation": Field(4, "table", None, _SCALES),
    **_plain(variable=(5, "bool", False), sparsity=(6, "table", None), signature=(7, "[i32]", None)),
    **_plain(variants=(9, "[table]", ()), external=(10, "u32", 0)),
}
_OPERATOR = _plain(
    **{"opcode": (0, "u32", 0), "inputs": (1, "[i32]", None), "outputs": (2, "[i32]", None)},
    **{"options_type": (3, "u8", 0), "options": (4, "table", None), "custom": (5, "span", None)},
    **{"mutating": (7, "[bool]", None), "intermediates": (8, "[i32]", None)},
    **{"custom_offset": (9, "u64", 0), "options_2_type": (11, "u8", 0)},
)
_SUBGRAPH = {
    "tensors": Field(0, "[table]", (), _TENSOR),
    **_plain(inputs=(1, "[i32]", None), outputs=(2, "[i32]", None)),
    "operators": Field(3, "[table]", (), _OPERATOR),
    **_plain(name=(4, "string", "")),
}
_NAMED_TENSOR = _plain(name=(0, "string", ""), tensor=(1, "u32", 0))
_SIGNATURE = {
    "inputs": Field(0, "[table]", (), _NAMED_TENSOR),
    "outputs": Field(1, "[table]", (), _NAMED_TENSOR),
    **_plain(key=(2, "string", ""), subgraph=(4, "u32", 0)),
}
MODEL = {
    **_plain(version=(0, "u32", 0)),
    "codes": Field(1, "[table]", (), _CODE),
    "subgraphs": Field(2, "[table]", (), _SUBGRAPH),
    **_plain(description=(3, "string", "")),
    "buffers": Field(4, "[table]", (), _plain(data=(0, "span", None), offset=(1, "u64", 0), size=(2, "u64", 0))),
    **_plain(metadata_buffers=(5, "[i32]", None)),
    "metadata": Field(6, "[table]", (), _plain(name=(0, "string", ""), buffer=(1, "u32", 0))),
    "signatures": Field(7, "[table]", (), _SIGNATURE),
    **_plain(external_groups=(8, "[table]", ()), external_buffers=(9, "[table]", ())),
}


class _Layout(NamedTuple):
    """A table's size; its fields that are left out, those that lie in it, and those that it leads to."""

    size: int
    absent: dict[str, Any]
    scalars: list[tuple[str, int, Callable[..., tuple[Any, ...]]]]
    others: list[tuple[str, int, Callable[[int, Field], Any], Field]]


class Tables:
    """The tables of a flatbuffer. Reading raises `ModelError` where an offset, a length or a type cannot be right."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._size = len(content)
        self._layouts: dict[tuple[int, int], _Layout] = {}
        self._kinds: dict[str, Callable[[int, Field], Any]] = {
            **{"string": self._string, "span": self._span, "table": self._table, "[table]": self._tables},
            **{f"[{kind}]": self._items for kind in _ITEMS},
        }

    def root(self, fields: Mapping[str, Field]) -> dict[str, Any]:
        """The fields of the outermost table by their names."""
        return self.table(self._offset(0), fields)

    def table(self, start: int, fields: Mapping[str, Field]) -> dict[str, Any]:
        """The fields of the table at a place, by their names; those that the file leaves out by their defaults."""
        if start & 3 or start + 4 > self._size:
            raise self._damaged("a table outside of the file", start)
        place = start - _I32.unpack_from(self.content, start)[0]
        # Tables with the same fields share the layout that says where in them each field lies.
        layout = self._layouts.get((place, id(fields))) or self._layout(start, place, fields)
        if start + layout.size > self._size:
            raise self._damaged("a table that is cut off", start)
        found = layout.absent.copy()
        for name, offset, unpack in layout.scalars:
            found[name] = unpack(self.content, start + offset)[0]
        for name, offset, read, field in layout.others:
            found[name] = read(start + offset, field)
        return found

    def _layout(self, start: int, place: int, fields: Mapping[str, Field]) -> _Layout:
        if place < 0 or place & 1 or place + 4 > self._size:
            raise self._damaged("a table without a layout", start)
        length, size = struct.unpack_from("<HH", self.content, place)
        if length < 4 or length & 1 or place + length > self._size or size < 4:
            raise self._damaged("a table with a damaged layout", start)
        offsets = struct.unpack_from(f"<{length // 2 - 2}H", self.content, place + 4)
        layout = _Layout(size, {}, [], [])
        for name, field in fields.items():
            offset = offsets[field.slot] if field.slot < len(offsets) else 0
            unpack, width = _SCALARS.get(field.kind, (None, 4))
            if offset == 0:
                layout.absent[name] = field.default
            elif offset < 4 or offset + width > size:
                raise self._damaged("a field outside of its table", start)
            elif unpack is not None:
                layout.scalars.append((name, offset, unpack.unpack_from))
            else:
                layout.others.append((name, offset, self._kinds[field.kind], field))
        self._layouts[place, id(fields)] = layout
        return layout

    def _offset(self, place: int) -> int:
        """Where the offset at a place leads to: always forward, and to four bytes at least."""
        if place + 4 > self._size:
            raise self._damaged("an offset that is cut off", place)
        offset: int = _U32.unpack_from(self.content, place)[0]
        if offset == 0 or place + offset + 4 > self._size:
            raise self._damaged("an offset that leads out of the file", place)
        return place + offset

    def _vector(self, place: int, width: int) -> tuple[int, int]:
        """Start and length of a vector of items of `width` bytes."""
        start = self._offset(place)
        length = _U32.unpack_from(self.content, start)[0]
        if start & 3 or start + 4 + length * width > self._size:
            raise self._damaged("a list that reaches out of the file", start)
        return start + 4, length

    def _string(self, place: int, field: Field) -> str:
        start, length = self._vector(place, 1)
        if length > ENTRIES_LIMIT or start + length >= self._size or self.content[start + length] != 0:
            raise self._damaged("a name without an end", start)
        return self.content[start : start + length].decode(errors="replace")

    def _span(self, place: int, field: Field) -> tuple[int, int]:
        return self._vector(place, 1)

    def _items(self, place: int, field: Field) -> Any:
        dtype = _ITEMS[field.kind[1:-1]]
        start, length = self._vector(place, int(dtype[2]))
        if length > 8 * ENTRIES_LIMIT:
            raise self._damaged(f"a list of {length} numbers", start)
        return np.frombuffer(self.content, dtype, length, start)

    def _table(self, place: int, field: Field) -> Any:
        start = self._offset(place)
        return start if field.of is None else self.table(start, field.of)

    def _tables(self, place: int, field: Field) -> tuple[Any, ...]:
        start, length = self._vector(place, 4)
        if length > ENTRIES_LIMIT:
            raise self._damaged(f"a list of {length} tables", start)
        return tuple(self._table(start + 4 * number, field) for number in range(length))

    def _damaged(self, what: str, place: int) -> ModelError:
        return ModelError(f"The model's flatbuffer is damaged: {what}, at byte {place}. Get the file again.")
