"""Where the parts of a `.tflite` flatbuffer lie: how far it reaches, and the bytes of each buffer.

The tables and field numbers are those of the public schema, version 3. Nothing is decoded and nothing outside the
file is touched, so that this also answers for damaged files, in time proportional to their size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

TEXT = "text"
OPTIONS = "options"
# Of each table: field number -> the bytes of a vector's element, TEXT, another table, or in a list a vector of those.
Fields = dict[int, int | str | list[str]]
TABLES: dict[str, Fields] = {
    "model": {
        **{1: ["code"], 2: ["subgraph"], 3: TEXT, 4: ["buffer"], 5: 4, 6: ["metadata"], 7: ["signature"]},
        **{8: ["group"], 9: ["external"]},
    },
    "code": {1: TEXT},
    "subgraph": {0: ["tensor"], 1: 4, 2: 4, 3: ["operator"], 4: TEXT},
    "tensor": {0: 4, 3: TEXT, 4: "quantisation", 6: "sparsity", 7: 4, 9: ["variant"]},
    "quantisation": {0: 4, 1: 4, 2: 4, 3: 8, 5: OPTIONS},
    "operator": {1: 4, 2: 4, 4: OPTIONS, 5: 1, 7: 1, 8: 4, 12: OPTIONS},
    "buffer": {0: 1},
    "metadata": {0: TEXT},
    "signature": {0: ["map"], 1: ["map"], 2: TEXT},
    "map": {0: TEXT},
    "sparsity": {0: 4, 1: 4, 2: ["dimension"]},
    "dimension": {3: OPTIONS, 5: OPTIONS},
    "variant": {0: 4},
    "group": {0: TEXT},
    "external": {4: TEXT},
    OPTIONS: {},
}


@dataclass(slots=True)
class Extents:
    """`end` is the first byte behind the last part, which may lie past the file's own end.

    `buffers` holds start and length in bytes of each buffer's data by its number, (0, 0) for an empty one. `broken`
    says that an offset led outside the file.
    """

    end: int = 0
    buffers: list[tuple[int, int]] = field(default_factory=list)
    broken: bool = False


def measure(content: bytes) -> Extents:
    """Follow every offset of a flatbuffer."""
    walk = _Walk(content)
    try:
        walk.table("model", walk.number("<I", 0))
    except struct.error:
        walk.found.broken = True
    return walk.found


class _Walk:
    def __init__(self, content: bytes) -> None:
        self.content, self.found = content, Extents()
        # Parts may share a table; each is followed once, or a hostile file could make this take for ever.
        self._seen: set[tuple[str, int]] = set()

    def number(self, kind: str, place: int) -> int:
        if place < 0:
            raise struct.error("before the start")
        found: int = struct.unpack_from(kind, self.content, place)[0]
        self._reach(place + struct.calcsize(kind))
        return found

    def table(self, name: str, place: int) -> None:
        if (name, place) in self._seen and name != "buffer":
            return
        self._seen.add((name, place))
        fields = place - self.number("<i", place)
        entries, size = self.number("<H", fields), self.number("<H", fields + 2)
        self._reach(max(fields + entries, place + size))
        inside = {number: self._inside(fields, entries, number) for number in TABLES[name]}
        for number, leads_to in TABLES[name].items():
            if inside[number]:
                at = place + inside[number]
                self._follow(leads_to, at + self.number("<I", at))
        if name == "buffer":
            self._buffer(place, fields, entries)

    def _inside(self, fields: int, entries: int, number: int) -> int:
        """Where a field lies in its table; 0 for one that is left out."""
        return self.number("<H", fields + 4 + 2 * number) if 4 + 2 * number < entries else 0

    def _follow(self, leads_to: int | str | list[str], place: int) -> None:
        if isinstance(leads_to, list):
            count = self.number("<I", place)
            if not self._reach(place + 4 + 4 * count):
                raise struct.error("a vector past the end")
            for number in range(count):
                at = place + 4 + 4 * number
                self.table(leads_to[0], at + self.number("<I", at))
        elif isinstance(leads_to, int) or leads_to == TEXT:
            size = 1 if leads_to == TEXT else int(leads_to)
            # A text ends with a zero byte that its length does not count.
            self._reach(place + 4 + size * self.number("<I", place) + (leads_to == TEXT))
        else:
            self.table(leads_to, place)

    def _buffer(self, place: int, fields: int, entries: int) -> None:
        inside = [self._inside(fields, entries, number) for number in range(3)]
        if inside[0]:
            at = place + inside[0]
            start = at + self.number("<I", at)
            self.found.buffers.append((start + 4, self.number("<I", start)))
            return
        # Files of 2 GB and more keep their data behind the flatbuffer.
        start, size = (self.number("<Q", place + at) if at else 0 for at in inside[1:])
        self.found.buffers.append((start, size) if start > 1 else (0, 0))
        self._reach(start + size if start > 1 else 0)

    def _reach(self, end: int) -> bool:
        self.found.end = max(self.found.end, end)
        inside = end <= len(self.content)
        self.found.broken |= not inside
        return inside
