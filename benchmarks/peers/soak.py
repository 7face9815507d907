"""Does the runtime grow or leak? Memory, descriptors and threads while much is done, and rates for few and many.

python benchmarks/peers/soak.py [--classifications 1000000] [--loads 10000] [--bad 100000] [--many 100000]

Ends with status 1 where memory grew by more than 2 MB after a warm-up, descriptors or threads became more, an answer
changed, or the rate fell by more than a tenth from a thousand pictures to many.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil

from edgeproof import models
from edgeproof.runtime import Classifier, DataError, golden

GROWTH_MB, SLOWER = 2.0, 0.10


def watched(work: Callable[[], object], times: int, *, warm_up: int) -> dict[str, object]:
    """What the process holds before and after doing something many times."""
    process, sizes = psutil.Process(), []
    for _ in range(warm_up):
        work()
    before = process.num_fds(), threading.active_count()
    start = time.perf_counter()
    for number in range(times):
        work()
        if number % max(1, times // 100) == 0:
            sizes.append(process.memory_info().rss / 2**20)
    seconds = time.perf_counter() - start
    after = process.num_fds(), threading.active_count()
    # Of medians, because an allocator keeps and gives back pages as it likes.
    grown = statistics.median(sizes[-10:]) - statistics.median(sizes[:10])
    return {
        **{"times": times, "seconds": round(seconds, 1), "memory_grown_mb": round(grown, 2)},
        **{"descriptors": after[0] - before[0], "threads": after[1] - before[1]},
        "passed": grown <= GROWTH_MB and after == before,
    }


def side_by_side(classifier: Classifier, pixels: np.ndarray, *, threads: int, calls: int) -> dict[str, object]:
    """Many threads on one classifier, held against its serial answers bit for bit."""
    serial = np.concatenate([classifier.probabilities(one[np.newaxis]) for one in pixels])

    def call(seed: int) -> int:
        order = np.random.default_rng(seed).integers(0, len(pixels), calls)
        return sum(not np.array_equal(classifier.probabilities(pixels[i][np.newaxis])[0], serial[i]) for i in order)

    with ThreadPoolExecutor(threads) as pool:
        others = sum(pool.map(call, range(threads)))
    return {"threads": threads, "calls": calls, "other_answers": others, "passed": others == 0}


def growing(classifier: Classifier, pictures: tuple[bytes, ...], many: int) -> dict[str, object]:
    """Pictures a second of a stream of a thousand and of many, few and many in turn, and the memory of the many."""
    process, rates = psutil.Process(), {1000: [], many: []}
    peak = before = 0
    list(classifier.classify_many(pictures[i % len(pictures)] for i in range(2000)))
    for count in (1000, 1000, 1000, many, 1000, 1000, 1000):
        before = before or process.memory_info().rss
        start = time.perf_counter()
        for number, _ in enumerate(classifier.classify_many(pictures[i % len(pictures)] for i in range(count))):
            if number % 1000 == 0:
                peak = max(peak, process.memory_info().rss)
        rates[count].append(count / (time.perf_counter() - start))
    few, lots = float(np.median(rates[1000])), float(np.median(rates[many]))
    grown = (peak - before) / 2**20
    return {
        **{"pictures_a_second": {"1000": rates[1000], str(many): rates[many]}, "ratio": lots / few},
        **{"memory_grown_mb": round(grown, 2), "passed": lots >= (1 - SLOWER) * few and grown <= 10},
    }


def refused(classifier: Classifier, pictures: tuple[bytes, ...]) -> Callable[[], None]:
    """A call that labels a damaged picture, another one each time."""
    draw = np.random.default_rng(0)

    def call() -> None:
        damaged = bytearray(pictures[int(draw.integers(len(pictures)))])
        damaged[int(draw.integers(len(damaged)))] ^= 1 << int(draw.integers(8))
        with contextlib.suppress(DataError):
            classifier.classify(bytes(damaged[: int(draw.integers(1, len(damaged)))]))

    return call


def main() -> int:
    """Do all of it, and print one JSON document."""
    parser = argparse.ArgumentParser()
    for name, count in (("classifications", 10**6), ("loads", 10**4), ("bad", 10**5), ("many", 10**5)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    path = models.path(models.CLASSIFIER)
    classifier = Classifier(path)
    pictures = golden.read(classifier.file).pictures[:10]
    pixels = np.stack([classifier.preprocessing.pixels(picture) for picture in pictures])
    found = {
        "growing": growing(classifier, pictures, given.many),
        "side by side": side_by_side(classifier, pixels, threads=8, calls=max(100, given.classifications // 100)),
        "loads": watched(lambda: Classifier(path).close(), given.loads, warm_up=200),
        "bad": watched(refused(classifier, pictures), given.bad, warm_up=2000),
        "classifications": watched(lambda: classifier.probabilities(pixels[:1]), given.classifications, warm_up=2000),
    }
    print(json.dumps({"cores": os.cpu_count(), **found}, indent=2))
    return int(not all(each["passed"] for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
