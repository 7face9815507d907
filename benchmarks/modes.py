"""The ways in which a loaded model is timed: picture by picture, at a pace, and offline in batches.

MLPerf's names for the first and the last: single-stream and offline (Reddi et al. 2020, "MLPerf Inference Benchmark").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice

from edgeproof.benchmarks.blocks import Batches
from edgeproof.benchmarks.warming import is_warm
from edgeproof.runtime.pixels import Pixels
from edgeproof.runtime.pool import Answering


def warm_up_ns(model: Answering, pixels: Pixels, limit: int) -> tuple[int, ...]:
    """The time of each call until the running median settles, `limit` calls at most."""
    samples: list[int] = []
    for picture in islice(cycle(pixels), limit):
        samples.append(_call_ns(model, picture[None]))
        if is_warm(samples):
            break
    return tuple(samples)


def latencies_ns(model: Answering, pixels: Pixels, calls: int) -> tuple[int, ...]:
    """The time of each of `calls` answers to one picture, going round and round over the pictures."""
    return tuple(_call_ns(model, picture[None]) for picture in islice(cycle(pixels), calls))


def paced_ns(
    model: Answering,
    pixels: Pixels,
    calls: int,
    interval_ms: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.perf_counter,
) -> tuple[int, ...]:
    """The time of each of `calls` answers, one begun every `interval_ms`, as from a camera.

    Between them the process sleeps, so that clocks slow down and caches go cold. An answer that takes longer than the
    interval delays the next one, which then begins at once.
    """
    samples, due = [], now()
    for picture in islice(cycle(pixels), calls):
        sleep(max(0.0, due - now()))
        due = max(due, now()) + interval_ms / 1e3
        samples.append(_call_ns(model, picture[None]))
    return tuple(samples)


def offline(model: Answering, pixels: Pixels, batches: Sequence[int], seconds: float) -> tuple[Batches, ...]:
    """Answer all pictures over and over for at least `seconds`, in batches of each of the sizes."""
    return tuple(_batches(model, pixels, size, seconds) for size in batches)


def _batches(model: Answering, pixels: Pixels, size: int, seconds: float) -> Batches:
    parts = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    model.probabilities(parts[0])  # The first batch makes the interpreter allocate anew.
    images, started = 0, time.perf_counter()
    while True:
        for part in parts:
            model.probabilities(part)
            images += len(part)
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return Batches(batch=size, images=images, seconds=elapsed)


def _call_ns(model: Answering, one: Pixels) -> int:
    started = time.perf_counter_ns()
    model.probabilities(one)
    return time.perf_counter_ns() - started
