"""Blocks in fresh processes, in ABBA order, so that a machine's drift falls on every file alike."""

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import msgspec

from edgeproof.benchmarks.blocks import Block, Job, Measurement
from edgeproof.runtime import ModelError, progress

log = logging.getLogger(__name__)
WORKER = (sys.executable, "-P", "-m", "edgeproof.benchmarks.worker")
TIME_LIMIT_S = 900.0


def measure(jobs: Sequence[Job], *, rounds: int, run: Callable[[Job], Block] | None = None) -> tuple[Measurement, ...]:
    """Measure every job `rounds` times, each time in a fresh process, and return one measurement a job.

    `run` measures one block; it starts a worker unless another is given. Raises `ModelError` for a worker
    that dies, and `ValueError` for an odd number of rounds, which ABBA order cannot balance.
    """
    run = run or run_block
    blocks: list[list[Block]] = [[] for _ in jobs]
    order = abba(len(jobs), rounds)
    with progress.bar("Measuring", len(order)) as advance:
        for index in order:
            blocks[index].append(run(jobs[index]))
            advance(1)
    log.info("Measured %d blocks of %d jobs.", len(order), len(jobs))
    return tuple(Measurement(threads=job.threads, blocks=tuple(own)) for job, own in zip(jobs, blocks, strict=True))


def abba(count: int, rounds: int) -> tuple[int, ...]:
    """The order of `count` jobs over `rounds` rounds: forward, backward, forward, …"""
    if rounds < 2 or rounds % 2:
        raise ValueError(f"Expected an even number of rounds, got {rounds}.")
    forward = tuple(range(count))
    return (forward + forward[::-1]) * (rounds // 2)


def run_block(job: Job, *, command: Sequence[str] = WORKER, limit_s: float = TIME_LIMIT_S) -> Block:
    """Measure one block in a fresh process. Raises `ModelError`, in one line, when that process dies."""
    try:
        done = subprocess.run(command, input=msgspec.json.encode(job), capture_output=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        reason = f"no block was done within {limit_s:g} s. Give a smaller model"
        raise ModelError(_failure(job, reason)) from None
    except OSError as error:
        raise ModelError(_failure(job, f"no process could be started ({error.strerror})")) from None
    if done.returncode:
        raise ModelError(_failure(job, _reason(done.returncode, done.stderr)))
    try:
        return msgspec.json.decode(done.stdout, type=Block)
    except msgspec.MsgspecError as error:
        raise ModelError(_failure(job, f"the measuring process answered no block ({error})")) from None


def _failure(job: Job, reason: str) -> str:
    return f"{job.model} with {job.threads} thread(s): {reason.removesuffix('.')}."


def _reason(returncode: int, stderr: bytes) -> str:
    if returncode < 0:
        hint = "is there too little memory?" if -returncode == signal.SIGKILL else "export the model again"
        return f"the measuring process was killed by {signal.Signals(-returncode).name}; {hint}"
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"the measuring process ended with status {returncode}"
