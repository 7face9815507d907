"""How often `compare` calls two runs of one file different, and how often it finds an injected slow-down.

    python benchmarks/peers/false_alarms.py [--pairs 100] [--processes 12] [--calls 25] [--busy 2] [--minutes 30]

Every trial measures one file four times, with the worker's own code, in fresh processes in turn: twice as it is, and
with 5 % and 10 % added to each call by a busy wait inside it. `--busy` processes that do nothing but count run all the
while. A process is forked from one that has imported all libraries, so that a trial takes seconds; each loads the file
itself. "again" is the second run of the same file, called different at a limit of 0 as `compare_files` would; the
promise is held by p10, the calls that nothing disturbed. "apart" holds the first run of a trial against that of the
trial before: two runs one after the other, as `compare OLD NEW` has them, but for its refusal of unsteady ones.
`--keep FILE` keeps the raw samples, and `--decide FILE` decides kept ones again instead of measuring.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  # before the forks: each child would load it anew
import msgspec
import numpy as np

from edgeproof import models
from edgeproof.benchmarks import compare, deciding, figures, memory, worker  # noqa: F401  # memory: before the forks, too
from edgeproof.benchmarks.blocks import Block, Job, Measurement
from edgeproof.benchmarks.comparison import Metric
from edgeproof.benchmarks.timing_pictures import synthetic_pixels
from edgeproof.runtime import Classifier

# What is measured in a trial, with the share of its own time that is added to each call.
CONDITIONS = {"first": 0.0, "again": 0.0, "5 %": 0.05, "10 %": 0.10}
METRICS: tuple[Metric, ...] = ("p10", "p50")


def main() -> int:
    """Run the trials, print the counts as they grow, and say whether they are what was promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--processes", type=int, default=12)
    parser.add_argument("--calls", type=int, default=25)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--decide", type=Path)
    given = parser.parse_args()
    if given.decide:
        return decide(given.decide)
    counts: Counter[str] = Counter()
    started, previous, done = time.monotonic(), None, 0
    with tempfile.TemporaryDirectory() as folder, busy(given.busy):
        job = made_job(Path(folder), given.calls)
        while done < given.pairs and time.monotonic() - started < 60 * given.minutes:
            runs = trial(job, given.processes, turn=done)
            count(runs, previous, counts)
            if given.keep:
                keep(runs, given.keep)
            previous, done = runs, done + 1
            if done % 10 == 0 or done == given.pairs:
                print(told(counts, done, time.monotonic() - started), flush=True)
    return promised(counts, done, given.pairs)


def decide(path: Path) -> int:
    """Decide what `keep` kept."""
    counts: Counter[str] = Counter()
    previous, done = None, 0
    for line in path.read_bytes().splitlines():
        kept = msgspec.json.decode(line, type=dict[str, list[tuple[int, ...]]])
        runs = {name: Measurement(threads=1, blocks=tuple(map(bare, blocks))) for name, blocks in kept.items()}
        count(runs, previous, counts)
        previous, done = runs, done + 1
    print(told(counts, done, 0.0))
    return promised(counts, done, done)


def bare(samples_ns: tuple[int, ...]) -> Block:
    """A block of which only the calls are known."""
    names = ("import_ms", "load_ms", "first_answer_ms", "images_per_s", "rss_before_mb", "rss_loaded_mb", "rss_peak_mb")
    return Block(samples_ns=samples_ns, **dict.fromkeys(names, 0.0))


def promised(counts: Counter[str], done: int, wanted: int) -> int:
    """Say whether the counts are what was promised; 1 where they are not, or too few."""
    met = counts["again p10"] <= 0.05 * done and counts["10 % p10"] >= 0.95 * done and counts["5 % p10"] >= 0.8 * done
    print(f"{done} trials: {'as promised' if met else 'NOT as promised'}")
    return 0 if met and done == wanted else 1


def trial(job: Job, processes: int, *, turn: int) -> dict[str, Measurement]:
    """One measurement of each condition, of so many processes, in turn: forward, backward, forward, …"""
    blocks: dict[str, list[Block]] = {name: [] for name in CONDITIONS}
    names = list(CONDITIONS)
    names = names[turn % 4 :] + names[: turn % 4]
    for number in range(processes):
        for name in names if number % 2 == 0 else reversed(names):
            blocks[name].append(forked(job, CONDITIONS[name]))
    return {name: Measurement(threads=job.threads, blocks=tuple(own)) for name, own in blocks.items()}


def count(runs: dict[str, Measurement], previous: dict[str, Measurement] | None, counts: Counter[str]) -> None:
    """Add what is decided of a trial: the conditions against the first run, and this first run against the last one."""
    for name in ("again", "5 %", "10 %"):
        note(counts, name, runs["first"], runs[name], compare.IN_TURN)
    if previous is not None:
        note(counts, "apart", previous["first"], runs["first"], compare.APART)


def keep(runs: dict[str, Measurement], path: Path) -> None:
    """Append the samples of a trial to a file, by condition and block."""
    samples = {name: [block.samples_ns for block in run.blocks] for name, run in runs.items()}
    with path.open("ab") as lines:
        lines.write(msgspec.json.encode(samples) + b"\n")


def note(counts: Counter[str], name: str, old: Measurement, new: Measurement, allowance: float) -> None:
    """Count a comparison as different (of the slowed runs, as slower) by each metric."""
    found = {
        metric: deciding.ratio(figures.of_blocks(old, metric), figures.of_blocks(new, metric)).widened(allowance)
        for metric in METRICS
    }
    verdicts = {metric: deciding.verdict(found[metric], 0.0) for metric in METRICS}
    wanted = ("regression",) if CONDITIONS.get(name) else ("regression", "improvement")
    for metric, verdict in verdicts.items():
        counts[f"{name} {metric}"] += verdict in wanted
    counts[f"{name} beyond"] += deciding.verdict(found["p10"], np.log(1.05)) == "regression"


def told(counts: Counter[str], done: int, seconds: float) -> str:
    """The counts so far, in one line."""
    parts = [
        f"{name} p10 {counts[f'{name} p10']}, p50 {counts[f'{name} p50']}, p10 beyond 5 % {counts[f'{name} beyond']}"
        for name in ("again", "apart", "5 %", "10 %")
    ]
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{done} trials, {seconds:.0f} s, load {load}: " + "; ".join(parts)


def forked(job: Job, share: float) -> Block:
    """One block by the worker's code in a process of its own, every call lengthened by a share of its time."""
    out, into = os.pipe()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            if share:
                Classifier.probabilities = lengthened(Classifier.probabilities, share)  # type: ignore[method-assign]  # the injected slow-down, in this child alone
            os.write(into, msgspec.json.encode(worker.block_of(job, 0.0)))
            status = 0
        finally:
            os._exit(status)
    os.close(into)
    with os.fdopen(out, "rb") as answers:
        content = answers.read()
    if os.waitpid(process, 0)[1]:
        sys.exit("A measuring process failed.")
    return msgspec.json.decode(content, type=Block)


def lengthened(call: Callable[..., Any], share: float) -> Callable[..., Any]:
    """A call that afterwards waits busily for a share of the time that it took."""

    def slower(*values: Any) -> Any:
        started = time.perf_counter_ns()
        result = call(*values)
        ended = time.perf_counter_ns()
        until = ended + int((ended - started) * share)
        while time.perf_counter_ns() < until:
            pass
        return result

    return slower


def made_job(folder: Path, calls: int) -> Job:
    """A short block of the shipped classifier, on made-up pictures."""
    pixels = folder / "pixels.npy"
    np.save(pixels, synthetic_pixels(96, 96, seed=0)[:4])
    path = str(models.path(models.CLASSIFIER))
    return Job(model=path, pictures=str(pixels), threads=1, warmup=3, calls=calls, throughput_s=0.0)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but count, while the block runs."""
    loads = [multiprocessing.Process(target=_counting, daemon=True) for _ in range(count)]
    for load in loads:
        load.start()
    try:
        yield
    finally:
        for load in loads:
            load.terminate()


def _counting() -> None:
    number = 0
    while True:
        number += 1


if __name__ == "__main__":
    sys.exit(main())
