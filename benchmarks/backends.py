"""One file run in every way that LiteRT has on a CPU: how fast each is, and whether the answers stay the same.

`python -m edgeproof.benchmarks.backends` is the process that times one way once; a way that crashes ends that alone.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.benchmarks import child
from edgeproof.benchmarks.affinity import bind, cores_for
from edgeproof.benchmarks.blocks import MIN_CALLS
from edgeproof.benchmarks.compiled import CompiledRunner
from edgeproof.benchmarks.measure import abba
from edgeproof.benchmarks.report import Backend
from edgeproof.runtime import EdgeproofError, ModelError, modelfile, progress
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pixels import Pixels
from edgeproof.runtime.pool import Answering

log = logging.getLogger(__name__)
ROUNDS = 4
WARM_UP = 3
Name = Literal["xnnpack", "builtin", "reference", "compiled"]


class Way(msgspec.Struct, frozen=True):
    """Kernels, or `CompiledModel`; threads; and how many pictures a call."""

    name: Name
    threads: int = 1
    batch: int = 1


# The first is what the others' answers are held against. Reference kernels take a hundred times as long.
WAYS = (
    *(Way("xnnpack", threads) for threads in (1, 2, 4)),
    *(Way("compiled", threads) for threads in (1, 2, 4)),
    *(Way("builtin", threads) for threads in (1, 2, 4)),
    Way("reference"),
    *(Way(name, 1, 8) for name in ("xnnpack", "compiled", "builtin")),
)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What one process does: calls of one way; and, where `answers` names a file, all pictures' outputs into it."""

    model: str
    pictures: str
    way: Way
    calls: int = MIN_CALLS
    answers: str = ""
    affinity: tuple[int, ...] = ()
    input_range: tuple[float, float] | None = None


def compare(
    model: Path,
    pixels: Pixels,
    *,
    ways: Sequence[Way] = WAYS,
    rounds: int = ROUNDS,
    input_range: tuple[float, float] | None = (0.0, 255.0),
) -> tuple[Backend, ...]:
    """Time every way in blocks in turn, each in a fresh process, and compare the answers to all pixels with the first.

    A way that cannot run, or crashes, says so in its `error`. Raises `ModelError` when the first is such a way.
    """
    blocks: list[list[tuple[int, ...]]] = [[] for _ in ways]
    errors = [""] * len(ways)
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as scratch:
        pictures = Path(scratch) / "pictures.npy"
        np.save(pictures, pixels)
        order = abba(len(ways), rounds)
        with progress.bar("Backends", len(order)) as advance:
            for place, index in enumerate(order):
                advance(1)
                way, first = ways[index], place < len(ways)
                # Reference kernels are so slow and even that one block says it all.
                if errors[index] or (way.name == "reference" and not first):
                    continue
                answers = str(Path(scratch) / f"{index}.npy") if first else ""
                question = Question(
                    model=str(model),
                    pictures=str(pictures),
                    way=way,
                    answers=answers,
                    affinity=cores_for(way.threads),
                    input_range=input_range,
                )
                try:
                    blocks[index].append(_asked(question))
                except ModelError as error:
                    errors[index] = str(error)
                    log.info("%s", error)
        if errors[0]:
            raise ModelError(errors[0])
        wanted: NDArray[np.float32] = np.load(Path(scratch) / "0.npy")
        given = [None if error else np.load(Path(scratch) / f"{i}.npy") for i, error in enumerate(errors)]
    return tuple(
        _judged(way, own, wanted, theirs, error)
        for way, own, theirs, error in zip(ways, blocks, given, errors, strict=True)
    )


def _asked(question: Question) -> tuple[int, ...]:
    way = question.way
    about = f"{question.model} with {way.name}, {way.threads} thread(s), batch {way.batch}"
    return child.ask(child.command("backends"), question, tuple[int, ...], about=about)


def _judged(
    way: Way,
    blocks: Sequence[tuple[int, ...]],
    wanted: NDArray[np.float32],
    given: NDArray[np.float32] | None,
    error: str,
) -> Backend:
    if given is None:
        return Backend(name=way.name, threads=way.threads, batch=way.batch, error=error)
    return Backend(
        name=way.name,
        threads=way.threads,
        batch=way.batch,
        blocks_ns=tuple(blocks),
        pictures=len(given),
        largest_difference=float(np.abs(given - wanted).max()),
        flips=int((given.argmax(axis=1) != wanted.argmax(axis=1)).sum()),
    )


def timed(question: Question) -> tuple[int, ...]:
    """The time of each call of one way in this process, nanoseconds, warm; writes the answers where they are wanted."""
    pixels = np.load(question.pictures)
    way = question.way
    runner = _runner(question)
    parts = [_filled(pixels[start : start + way.batch], way.batch) for start in range(0, len(pixels), way.batch)]
    samples = []
    for call in range(WARM_UP + question.calls):
        started = time.perf_counter_ns()
        runner.probabilities(parts[call % len(parts)])
        samples.append(time.perf_counter_ns() - started)
    if question.answers:
        np.save(question.answers, np.concatenate([runner.probabilities(part) for part in parts])[: len(pixels)])
    return tuple(samples[WARM_UP:])


def _runner(question: Question) -> Answering:
    way, flatbuffer = question.way, modelfile.read(question.model).flatbuffer
    if way.name == "compiled":
        return CompiledRunner(flatbuffer, num_threads=way.threads, batch=way.batch, input_range=question.input_range)
    return Runner(flatbuffer, num_threads=way.threads, input_range=question.input_range, kernels=way.name)


def _filled(pixels: Pixels, batch: int) -> Pixels:
    """A last batch as large as the others, its first picture repeated."""
    missing = batch - len(pixels)
    return np.concatenate([pixels, np.repeat(pixels[:1], missing, axis=0)]) if missing else pixels


def main() -> int:
    """Read a question from stdin, print the samples; 2 and one line on stderr for what cannot be run."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    bind(question.affinity)
    try:
        samples = timed(question)
    except EdgeproofError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(msgspec.json.encode(samples).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
