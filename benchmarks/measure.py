"""Blocks in fresh processes, in ABBA order, so that a machine's drift falls on every file alike."""

import logging
from collections.abc import Callable, Sequence

from edgeproof.benchmarks import child
from edgeproof.benchmarks.blocks import Block, Job, Measurement
from edgeproof.benchmarks.kept import Kept
from edgeproof.runtime import progress

log = logging.getLogger(__name__)
WORKER = child.command("worker")
# A step of the progress bar, in seconds: blocks advance it by what they are expected to take, so that the ETA is even.
STEP_S = 0.1


def measure(
    jobs: Sequence[Job], *, rounds: int, run: Callable[[Job], Block] | None = None, kept: Kept | None = None
) -> tuple[Measurement, ...]:
    """Measure every job `rounds` times, each time in a fresh process, and return one measurement a job.

    `run` measures one block; it starts a worker unless another is given. Blocks that `kept` holds from a run that was
    cut short are not measured again, and each new one is added to it. Raises `ModelError` for a worker that dies, and
    `ValueError` for an odd number of rounds, which ABBA order cannot balance.
    """
    run = run or run_block
    blocks: list[list[Block]] = [[] for _ in jobs]
    order = abba(len(jobs), rounds)
    done = 0
    steps = [max(1, round(job.expected_s / STEP_S)) for job in jobs]

    def note() -> str:
        return f"block {done} of {len(order)}"

    held = {place: kept.block(place) if kept is not None else None for place in range(len(order))}
    # Blocks that are there already must not make the others look quick.
    left = sum(steps[index] for place, index in enumerate(order) if held[place] is None)
    with progress.bar("Measuring", left, note=note) as advance:
        for place, index in enumerate(order):
            block = held[place]
            done += 1
            if block is None:
                block = run(jobs[index])
                if kept is not None:
                    kept.add(place, block)
                advance(steps[index])
            blocks[index].append(block)
    log.info("Measured %d blocks of %d jobs.", len(order), len(jobs))
    return tuple(Measurement(threads=job.threads, blocks=tuple(own)) for job, own in zip(jobs, blocks, strict=True))


def abba(count: int, rounds: int) -> tuple[int, ...]:
    """The order of `count` jobs over `rounds` rounds: forward, backward, forward, …"""
    if rounds < 2 or rounds % 2:
        raise ValueError(f"Expected an even number of rounds, got {rounds}.")
    forward = tuple(range(count))
    return (forward + forward[::-1]) * (rounds // 2)


def run_block(job: Job, *, command: Sequence[str] = WORKER, limit_s: float = child.TIME_LIMIT_S) -> Block:
    """Measure one block in a fresh process. Raises `ModelError`, in one line, when that process dies."""
    return child.ask(command, job, Block, about=f"{job.model} with {job.threads} thread(s)", limit_s=limit_s)
