"""What `Classifier` adds to a bare `interpreter.invoke()`, for a uint8 array already at the model's size.

python benchmarks/peers/overhead.py [--rounds 40]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from contest import blocks, ratio, report, told
from msgspec import structs

from edgeproof import models
from edgeproof.runtime import Classifier, contract, modelfile
from edgeproof.runtime.pixels import Resize

CALLS = 100


def main() -> None:
    """Measure, and print the difference and the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    shipped = modelfile.read(models.path(models.CLASSIFIER))
    with tempfile.TemporaryDirectory() as scratch:
        # One step, as of a model that was trained at its own size: an array of that size needs no resizing.
        steps = (Resize(width=96, height=96),)
        described = structs.replace(
            shipped.contract, preprocessing=structs.replace(shipped.contract.preprocessing, steps=steps), golden=None
        )
        files = {**shipped.attachments, contract.CONTRACT_NAME: contract.encode(described)}
        path = Path(scratch) / "one-step.tflite"
        path.write_bytes(modelfile.pack(shipped.flatbuffer, files))
        classifier = Classifier(path)
    bare = Interpreter(model_content=shipped.flatbuffer, num_threads=1)
    bare.allocate_tensors()
    taken, given = bare.get_input_details()[0]["index"], bare.get_output_details()[0]["index"]
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    batch = pixels[np.newaxis]

    def by_hand() -> None:
        bare.set_tensor(taken, batch)
        bare.invoke()
        bare.get_tensor(given)

    def timed(call: Callable[[], object]) -> Callable[[], float]:
        def block() -> float:
            call()  # its weights into the cache: the other one has been there since
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            return 1000 * (time.perf_counter() - start) / CALLS

        return block

    contenders = {
        "invoke by hand": timed(by_hand),
        "Classifier.probabilities": timed(lambda: classifier.probabilities(batch)),
        "Classifier.classify": timed(lambda: classifier.classify(pixels, top=5)),
    }
    found = blocks(contenders, rounds=rounds)
    extra = {}
    for name in list(contenders)[1:]:
        more = np.median(found[name]) - np.median(found["invoke by hand"])
        extra[name] = f"+{more:.4f} ms, ratio {told(ratio(found[name], found['invoke by hand']))}"
    report(f"Overhead, blocks of {CALLS} calls", found, "ms", extra)


if __name__ == "__main__":
    main()
