"""Blocks that are done, kept while a benchmark runs, so that one that was cut short goes on where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgeproof.benchmarks.blocks import Block, Job
from edgeproof.benchmarks.environment import environment
from edgeproof.runtime import DataError
from edgeproof.runtime.atomic import write_bytes

NAME = ".blocks.jsonl"


class _Plan(msgspec.Struct, frozen=True):
    plan: str


class _Done(msgspec.Struct, frozen=True):
    place: int
    block: Block


class Kept:
    """The blocks of one plan in a file of JSON lines: its hash first, then a block a line as each is done."""

    def __init__(self, path: Path, plan: str) -> None:
        self._path = path
        self._blocks = _read(path, plan)
        self.resumed = len(self._blocks)
        # Written anew, because the last line may have been cut off.
        lines = [_Plan(plan), *(_Done(place, block) for place, block in self._blocks.items())]
        write_bytes(path, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def block(self, place: int) -> Block | None:
        """The block at a place in the order of the plan; None when it is still to be measured."""
        return self._blocks.get(place)

    def add(self, place: int, block: Block) -> None:
        """Keep a block. Raises `DataError` where the file cannot be written."""
        try:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(_Done(place, block)) + b"\n")
        except OSError as error:
            raise DataError(f"{self._path}: cannot be written: {error.strerror}. Give another --out.") from None

    def clear(self) -> None:
        """Remove the file: the report has it all."""
        self._path.unlink(missing_ok=True)


def plan_of(jobs: Sequence[Job], rounds: int) -> str:
    """A hash of all that decides what is measured: jobs, the content of their files, versions, processor."""
    digest = hashlib.sha256()
    machine = environment()
    digest.update(msgspec.json.encode([rounds, machine.cpu, machine.python, sorted(machine.packages.items())]))
    for job in jobs:
        paths = (job.model, job.pictures, *job.files)
        settings = msgspec.structs.replace(job, model="", pictures="", files=())
        digest.update(msgspec.json.encode([settings, [_content(path) for path in paths]]))
    return digest.hexdigest()


def _content(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _read(path: Path, plan: str) -> dict[int, Block]:
    """What is kept of this plan; nothing of another one. The last line may be cut off."""
    try:
        first, *lines = path.read_bytes().splitlines()
        if msgspec.json.decode(first, type=_Plan).plan != plan:
            return {}
    except (OSError, ValueError, msgspec.MsgspecError):
        return {}
    found = {}
    for line in lines:
        try:
            done = msgspec.json.decode(line, type=_Done)
        except msgspec.MsgspecError:
            break
        found[done.place] = done.block
    return found
