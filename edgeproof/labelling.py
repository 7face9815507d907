"""Which pictures a command line means: files, folders, patterns, and what comes through standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from edgeproof import models
from edgeproof.runtime import Classifier, ConfigError, DataError, Prediction
from edgeproof.runtime.pixels import SUFFIXES, Picture

STDIN = "-"
# The first bytes of the formats that are read: what comes through a pipe is a picture, or names of pictures.
SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"P4\n", b"P5\n", b"P6\n")
# A folder of no more files is read in the order of their names; sorting a million takes memory and time.
SORTED = 10_000
Answer = tuple[str, tuple[Prediction, ...] | str]


def split(paths: Sequence[str], *, watched: Path | None = None) -> tuple[Path, tuple[str, ...]]:
    """The model (the shipped one where the first path is no .tflite) and what pictures to label.

    Where a folder is `watched`, there are to be no others. Raises `ConfigError` without pictures, and `DataError` for
    a path or pattern where nothing is.
    """
    given = list(paths)
    has_model = bool(given) and Path(given[0]).suffix == ".tflite"
    model = Path(given.pop(0)) if has_model else models.path(models.CLASSIFIER)
    if watched is not None:
        if given:
            raise ConfigError(f"--watch {watched}: give no other pictures (such as {given[0]}) beside it.")
        return model, ()
    if not given:
        raise ConfigError(f"classify {model}: no pictures were given. Add the path of a picture or a folder.")
    for path in given:
        _check(path)
    return model, tuple(given)


def answers(classifier: Classifier, paths: Sequence[str], *, top: int, threads: int | None) -> Iterator[Answer]:
    """Each picture's name with its predictions, or with the reason why there are none, in the order of the paths."""
    return label(classifier, chain.from_iterable(map(pictures, paths)), top=top, threads=threads)


def label(
    classifier: Classifier, named: Iterable[tuple[str, Picture]], *, top: int, threads: int | None
) -> Iterator[Answer]:
    """Label pictures that have names, as they come."""
    names: deque[str] = deque()

    def source() -> Iterator[Picture]:
        for name, picture in named:
            names.append(name)
            yield picture

    for result in classifier.classify_many(source(), top=top, workers=threads):
        name = names.popleft()
        yield name, result.error.removeprefix(f"{name}: ") if result.error else result.predictions


def pictures(path: str) -> Iterator[tuple[str, Picture]]:
    """The pictures behind one path of the command line, with their names."""
    if path == STDIN:
        yield from _piped()
    elif os.path.isdir(path):
        yield from ((found, found) for found in _in_folder(path))
    elif os.path.lexists(path):
        yield path, path
    else:
        for match in sorted(glob.iglob(path, recursive=True)):
            yield from pictures(match)


def _check(path: str) -> None:
    if path == STDIN:
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError("classify -: nothing is piped into it. Pipe in a picture, or names of pictures.")
    elif os.path.isdir(path):
        if next(_in_folder(path), None) is None:
            raise DataError(f"{path}: no pictures in this folder. Expected files such as .png or .jpg.")
    elif not os.path.lexists(path):
        if not glob.has_magic(path):
            raise DataError(f"{path}: no such file or folder. Give the path of a picture or of a folder of pictures.")
        if next(glob.iglob(path, recursive=True), None) is None:
            raise DataError(f"{path}: no file matches this pattern. Give another.")


def _piped() -> Iterator[tuple[str, Picture]]:
    """The one picture, or the pictures whose names stand a line each, that come through standard input."""
    stream = sys.stdin.buffer
    first = stream.readline()
    if first.startswith(SIGNATURES):
        yield STDIN, first + stream.read()
        return
    for line in chain((first,), stream):
        if name := os.fsdecode(line.rstrip(b"\r\n")):
            yield from pictures(name) if os.path.isdir(name) else ((name, name),)


def _in_folder(folder: str) -> Iterator[str]:
    """The visible pictures below a folder: sorted, unless there are very many in one."""
    with os.scandir(folder) as entries:
        visible = (entry for entry in entries if not entry.name.startswith("."))
        few = list(islice(visible, SORTED + 1))
        ordered: Iterable[os.DirEntry[str]] = few
        if len(few) <= SORTED:
            ordered = sorted(few, key=lambda entry: entry.name)
        for entry in chain(ordered, visible):
            if entry.is_dir():
                yield from _in_folder(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                yield entry.path
