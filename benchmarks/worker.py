"""One fresh process that measures one block: `python -m edgeproof.benchmarks.worker`, JSON in, JSON out.

The standard library alone is imported up here, so that the time of importing the runtime can be taken.
"""

from __future__ import annotations

import sys
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeproof.benchmarks.blocks import Block, Job
    from edgeproof.runtime import Classifier
    from edgeproof.runtime.pixels import Pixels


def main() -> int:
    """Read a job from stdin, measure it, print the block; 2 and one line on stderr for a user's mistake."""
    content = sys.stdin.buffer.read()
    started = time.perf_counter()
    import edgeproof.runtime

    import_ms = (time.perf_counter() - started) * 1e3
    import msgspec

    from edgeproof.benchmarks.blocks import Job

    try:
        block = block_of(msgspec.json.decode(content, type=Job), import_ms)
    except edgeproof.runtime.EdgeproofError as error:
        print(error, file=sys.stderr)
        return 2
    print(msgspec.json.encode(block).decode())
    return 0


def block_of(job: Job, import_ms: float) -> Block:
    """Measure a job in this process; honest about the start only in a process that has done nothing else."""
    import numpy as np

    from edgeproof.benchmarks.blocks import Block
    from edgeproof.benchmarks.memory import peak_mb, resident_mb
    from edgeproof.runtime import Classifier

    pixels = np.load(job.pictures)
    before_mb = resident_mb()
    started = time.perf_counter()
    classifier = Classifier(job.model, labels=job.labels, input_range=job.input_range, num_threads=job.threads)
    loaded = time.perf_counter()
    loaded_mb = resident_mb()
    first = latencies_ns(classifier, pixels, 1)[0]
    latencies_ns(classifier, pixels, job.warmup)
    samples = latencies_ns(classifier, pixels, job.calls)
    highest_mb = peak_mb()
    return Block(
        import_ms=import_ms,
        load_ms=(loaded - started) * 1e3,
        first_answer_ms=first / 1e6,
        samples_ns=samples,
        images_per_s=images_per_s(classifier, pixels, job.throughput_s),
        rss_before_mb=before_mb,
        rss_loaded_mb=loaded_mb,
        rss_peak_mb=highest_mb,
    )


def latencies_ns(classifier: Classifier, pixels: Pixels, calls: int) -> tuple[int, ...]:
    """The time of each of `calls` answers to one picture, going round and round over the pictures."""
    samples = []
    for picture in islice(cycle(pixels), calls):
        one = picture[None]
        started = time.perf_counter_ns()
        classifier.probabilities(one)
        samples.append(time.perf_counter_ns() - started)
    return tuple(samples)


def images_per_s(classifier: Classifier, pixels: Pixels, seconds: float) -> float:
    """Pictures answered a second, in batches, all of them over and over for at least `seconds`."""
    from edgeproof.benchmarks.blocks import BATCH

    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    classifier.probabilities(batches[0])  # The first batch makes the interpreter allocate anew.
    images, started = 0, time.perf_counter()
    while True:
        for batch in batches:
            classifier.probabilities(batch)
            images += len(batch)
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return images / elapsed


if __name__ == "__main__":
    sys.exit(main())
