"""What a file needs on a microcontroller, and whether it answers there as in LiteRT: TFLite Micro's own interpreter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgeproof.deploy import subject, tflm
from edgeproof.deploy.subject import Subject
from edgeproof.deploy.tflm import Memory
from edgeproof.runtime import testset
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.errors import VerificationError
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pixels import Pixels

KIB = 1024
# What a large microcontroller has: 512 KiB of RAM, 1 MiB of flash.
RAM_BYTES, FLASH_BYTES = 512 * KIB, 1024 * KIB
# Same answers as LiteRT, below which a file is refused.
LEAST_SAME = 0.99
Kernels = Literal["reference", "builtin"]


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """TFLite Micro beside LiteRT on the same pixels.

    `same_top1` pictures have the same first answer, `identical` the same output tensor; `largest_difference` is one of
    probabilities.
    """

    images: int
    same_top1: int
    identical: int
    largest_difference: float

    @property
    def share(self) -> float:
        """Same answers, 0 to 1."""
        return self.same_top1 / self.images


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One file on a microcontroller. `flash_bytes` is the flatbuffer alone, `golden` and `test` pictures that were run.

    An arena fits when it leaves nothing of the RAM for anything else: a program needs some besides.
    """

    schema: int = 1
    file: str
    memory: Memory
    flash_bytes: int
    fits_ram: bool
    fits_flash: bool
    operators: dict[str, int]
    kernels: Kernels
    golden: Agreement | None
    test: Agreement | None


def arena(flatbuffer: bytes) -> int:
    """The smallest arena that TFLite Micro runs a graph in, in bytes. Raises `ModelError` where it cannot run it."""
    return tflm.memory(flatbuffer).arena_bytes


def examine(
    path: str | Path, *, data: str | Path | None = None, limit: int = 500, kernels: Kernels = "reference"
) -> Report:
    """Run a file that edgeproof exported in TFLite Micro, and hold its answers against LiteRT's `kernels`.

    `data` are test pictures, of which `limit` are taken, evenly spread. Raises `ModelError` for an operator that
    TFLite Micro lacks, `DataError` for pictures that do not fit the file.
    """
    found = subject.read(path)
    flatbuffer = found.file.flatbuffer
    memory = tflm.memory(flatbuffer)
    golden = _golden_pixels(found)
    test = _test_pixels(found, data, limit) if data is not None else None
    return Report(
        file=found.file.path.name,
        memory=memory,
        flash_bytes=len(flatbuffer),
        fits_ram=memory.arena_bytes <= RAM_BYTES,
        fits_flash=len(flatbuffer) <= FLASH_BYTES,
        operators=operators(flatbuffer),
        kernels=kernels,
        golden=None if golden is None else compare(flatbuffer, golden, kernels=kernels),
        test=None if test is None else compare(flatbuffer, test, kernels=kernels),
    )


def compare(flatbuffer: bytes, pixels: Pixels, *, kernels: Kernels = "reference") -> Agreement:
    """Answer uint8 pixels of shape (n, height, width, 3) in both interpreters."""
    runner = Runner(flatbuffer, kernels=kernels)
    values = runner.enter(pixels)
    ours = tflm.answers(flatbuffer, values)
    theirs = np.concatenate([runner.raw(each[np.newaxis]) for each in values])
    left, right = runner.leave(ours), runner.leave(theirs)
    return Agreement(
        images=len(pixels),
        same_top1=_same(left, right),
        identical=int((ours == theirs).all(axis=1).sum()),
        largest_difference=float(np.abs(left - right).max()),
    )


def gate(report: Report, *, ram_bytes: int | None = None, flash_bytes: int | None = None) -> None:
    """Raise `VerificationError` for other answers than LiteRT's, and for a file beyond the limits that are given."""
    name = report.file
    for words, found in (("golden examples", report.golden), ("test pictures", report.test)):
        if found is not None and found.share < LEAST_SAME:
            raise VerificationError(
                f"{name}: TFLite Micro and LiteRT agree on {found.share:.1%} of the {words}, below {LEAST_SAME:.0%}."
            )
    if ram_bytes is not None and report.memory.arena_bytes > ram_bytes:
        raise VerificationError(f"{name}: an arena of {report.memory.arena_bytes} bytes, above {ram_bytes} of RAM.")
    if flash_bytes is not None and report.flash_bytes > flash_bytes:
        raise VerificationError(f"{name}: {report.flash_bytes} bytes, above {flash_bytes} of flash.")


def operators(flatbuffer: bytes) -> dict[str, int]:
    """How often each kind of operator occurs, by name: what a resolver on the device must hold."""
    graph = Graph.read(flatbuffer)
    return dict(sorted(Counter(graph.kind(number) for number in range(len(graph.operators))).items()))


def _golden_pixels(found: Subject) -> Pixels | None:
    if found.examples is None:
        return None
    return np.stack([found.contract.preprocessing.pixels(picture) for picture in found.examples.pictures])


def _test_pixels(found: Subject, data: str | Path, limit: int) -> Pixels:
    prepared = found.contract.preprocessing
    pictures = testset.load(data, prepared, found.labels)
    some = pictures.take(np.unique(np.linspace(0, len(pictures) - 1, limit).astype(np.int64)))
    stored = some.stored[:]
    if some.preprocessing == prepared:
        return prepared.finished(stored)
    return np.stack([prepared.pixels(picture) for picture in stored])


def _same(left: Probabilities, right: Probabilities) -> int:
    return int((left.argmax(axis=1) == right.argmax(axis=1)).sum())
