"""The latency of flatbuffers that are not yet files: a number each, from one interleaved run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeproof.benchmarks.benchmarking import Effort
from edgeproof.benchmarks.blocks import MIN_CALLS, Job
from edgeproof.benchmarks.measure import measure
from edgeproof.benchmarks.statistics import Latency
from edgeproof.benchmarks.timing_pictures import synthetic_pixels
from edgeproof.runtime.interpreter import Runner

INPUT_RANGE = (0.0, 255.0)
# Candidates are many, and their order is all that counts.
BRIEF = Effort(rounds=2, warmup=20, calls=MIN_CALLS, throughput_s=0.0)


def medians_ms(flatbuffers: Sequence[bytes], *, threads: int = 1, effort: Effort = BRIEF) -> tuple[float, ...]:
    """The median warm latency of one made-up picture, in ms, of classifiers of raw pixels without a contract.

    All take part in one run, in ABBA blocks and fresh processes. Raises `ModelError` for one that cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as scratch:
        jobs = []
        for number, content in enumerate(flatbuffers):
            model, pictures = (Path(scratch) / f"{number}{suffix}" for suffix in (".tflite", ".npy"))
            runner = Runner(content)
            _, height, width, _ = runner.input.shape
            model.write_bytes(content)
            np.save(pictures, synthetic_pixels(height, width, seed=0))
            jobs.append(
                Job(
                    model=str(model),
                    pictures=str(pictures),
                    threads=threads,
                    warmup=effort.warmup,
                    calls=effort.calls,
                    throughput_s=0.0,
                    batches=(),
                    labels=tuple(map(str, range(runner.output.shape[-1]))),
                    input_range=INPUT_RANGE,
                )
            )
        done = measure(jobs, rounds=effort.rounds) if jobs else ()
    return tuple(Latency.of(each.samples_ns).p50_ms for each in done)
