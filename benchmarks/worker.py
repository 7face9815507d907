"""One fresh process that measures one block: `python -m edgeproof.benchmarks.worker`, JSON in, JSON out.

The standard library alone is imported up here, so that the time of importing the runtime can be taken.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeproof.benchmarks.blocks import Block, Job, Stages
    from edgeproof.runtime import Classifier


def main() -> int:
    """Read a job from stdin, measure it, print the block; 2 and one line on stderr for a user's mistake."""
    content = sys.stdin.buffer.read()
    bound = _bound(content)
    started = time.perf_counter()
    import edgeproof.runtime

    import_ms = (time.perf_counter() - started) * 1e3
    import msgspec

    from edgeproof.benchmarks.blocks import Job

    try:
        block = block_of(msgspec.json.decode(content, type=Job), import_ms, affinity=bound)
    except edgeproof.runtime.EdgeproofError as error:
        print(error, file=sys.stderr)
        return 2
    print(msgspec.json.encode(block).decode())
    return 0


def block_of(job: Job, import_ms: float, *, affinity: tuple[int, ...] = ()) -> Block:
    """Measure a job in this process; honest about the start only in a process that has done nothing else."""
    import numpy as np

    from edgeproof.benchmarks import modes
    from edgeproof.benchmarks.blocks import BATCH, Block
    from edgeproof.benchmarks.memory import peak_mb, resident_mb
    from edgeproof.runtime import Classifier

    pixels = np.load(job.pictures)
    before_mb = resident_mb()
    started = time.perf_counter()
    classifier = Classifier(job.model, labels=job.labels, input_range=job.input_range, num_threads=job.threads)
    loaded = time.perf_counter()
    loaded_mb = resident_mb()
    loading = classifier.loading
    first = modes.latencies_ns(classifier, pixels, 1)[0]
    warm_up = modes.warm_up_ns(classifier, pixels, job.warmup)
    samples = modes.latencies_ns(classifier, pixels, job.calls)
    paced = modes.paced_ns(classifier, pixels, job.calls, job.paced_ms) if job.paced_ms is not None else ()
    highest_mb = peak_mb()
    offline = modes.offline(classifier, pixels, job.batches, job.throughput_s)
    return Block(
        import_ms=import_ms,
        load_ms=(loaded - started) * 1e3,
        first_answer_ms=first / 1e6,
        samples_ns=samples,
        images_per_s=next((each.images_per_s for each in offline if each.batch == BATCH), 0.0),
        rss_before_mb=before_mb,
        rss_loaded_mb=loaded_mb,
        rss_peak_mb=highest_mb,
        interpreter_ms=loading.interpreter_ms if loading is not None else 0.0,
        allocate_ms=loading.allocate_ms if loading is not None else 0.0,
        warm_up_ns=warm_up,
        paced_ns=paced,
        offline=offline,
        stages=_stages(job, classifier) if job.files else None,
        affinity=affinity,
    )


def _bound(content: bytes) -> tuple[int, ...]:
    """Bind this process to the job's cores before anything is imported that starts threads."""
    import json

    from edgeproof.benchmarks.affinity import bind

    try:
        return bind(json.loads(content).get("affinity", ()))
    except (ValueError, AttributeError):
        return ()  # What is no job is told by who decodes it.


def _stages(job: Job, classifier: Classifier) -> Stages:
    from edgeproof.benchmarks import stages
    from edgeproof.runtime.interpreter import Runner

    span = (0.0, 255.0) if classifier.file.contract is not None else job.input_range
    runner = Runner(classifier.file.flatbuffer, num_threads=job.threads, input_range=span)
    return stages.timed(classifier, runner, [Path(name).read_bytes() for name in job.files])


if __name__ == "__main__":
    sys.exit(main())
