"""What a user pays for a model on a device: the file, its download, the memory of its activations, the runtime."""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from pathlib import Path

import msgspec

from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.arena import arena_bytes

# What an application in C or C++ ships, and what the Python interpreter loads; without the accelerators beside them.
LIBRARIES = ("libLiteRt", "libpywrap_litert_common")


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """A shared library of LiteRT as it is installed here."""

    name: str
    size_bytes: int


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes. `compressed_bytes` is what deflate leaves of the file, as in zip, APK and gzip downloads.

    `activation_bytes` is the least that an arena holds, for one picture; None where the graph cannot be read.
    """

    file_bytes: int
    compressed_bytes: int
    activation_bytes: int | None
    libraries: tuple[Library, ...]


def of_file(content: bytes, body: Anatomy | None) -> Footprint:
    """The footprint of a file's bytes, with its graph where that can be read."""
    return Footprint(
        file_bytes=len(content),
        compressed_bytes=len(zlib.compress(content, 9)),
        activation_bytes=None if body is None else arena_bytes(body),
        libraries=installed(),
    )


def installed() -> tuple[Library, ...]:
    """LiteRT's own libraries on this machine; none where another package brings the interpreter."""
    found = find_spec("ai_edge_litert")
    folders = (found.submodule_search_locations or ()) if found is not None else ()
    paths = sorted(path for folder in folders for path in Path(folder).iterdir() if path.stem in LIBRARIES)
    return tuple(Library(name=path.name, size_bytes=path.stat().st_size) for path in paths)
