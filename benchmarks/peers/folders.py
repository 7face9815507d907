"""Label a folder of 32 px PNGs: edgeproof, Keras, MediaPipe, and what the stages reach when each is timed alone.

EDGEPROOF_DATA=… python benchmarks/peers/folders.py [--images 10000] [--rounds 3] [--run runs/cifar100]

Every contender runs in a process of its own and times itself, without its imports and without loading its model.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from contest import ROOT, blocks, ratio, report, run, told

MEDIAPIPE = ROOT / ".venv-peers" / "mediapipe" / "bin" / "python"
EDGEPROOF = """
import sys, time
from edgeproof import labelling
from edgeproof.runtime import Classifier
classifier = Classifier(sys.argv[1])
start = time.perf_counter()
found = list(labelling.answers(classifier, [sys.argv[2]], top=5, threads=None))
print(time.perf_counter() - start)
assert not [answer for _, answer in found if isinstance(answer, str)]
"""
KERAS = """
import sys, time
import keras
model = keras.models.load_model(sys.argv[1], compile=False)
start = time.perf_counter()
pictures = keras.utils.image_dataset_from_directory(
    sys.argv[2], labels=None, image_size=(96, 96), batch_size=32, shuffle=False, verbose=False)
model.predict(pictures, verbose=0)
print(time.perf_counter() - start)
"""
TASKS = """
import glob, sys, time
from mediapipe import Image
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions
options = ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=5)
with ImageClassifier.create_from_options(options) as classifier:
    start = time.perf_counter()
    for path in sorted(glob.glob(sys.argv[2] + "/*")):
        classifier.classify(Image.create_from_file(path))
    print(time.perf_counter() - start)
"""
# Decode, resize and invoke, each alone over all pictures on all cores; an interpreter a thread, batches of 32.
STAGES = """
import glob, io, json, sys, time
from concurrent.futures import ThreadPoolExecutor
from threading import local
import numpy as np
from edgeproof.runtime import Classifier
from edgeproof.runtime.interpreter import BATCH, Runner
from edgeproof.runtime.decoding import open_rgb
from edgeproof.runtime.pool import usable_cores
file = Classifier(sys.argv[1])
paths, kept = sorted(glob.glob(sys.argv[2] + "/*")), local()
chunks = [slice(start, start + BATCH) for start in range(0, len(paths), BATCH)]
def timed(work):
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(work, chunks[:4]))
        start = time.perf_counter()
        found = list(pool.map(work, chunks))
        return time.perf_counter() - start, found
def decode(chunk):
    return [np.asarray(open_rgb(path)) for path in paths[chunk]]
def resize(chunk):
    return file.preprocessing.finished(stored[chunk])
def invoke(chunk):
    if not hasattr(kept, "runner"):
        kept.runner = Runner(file.file.flatbuffer)
    return kept.runner.probabilities(pixels[chunk])
decoding, found = timed(decode)
stored = np.concatenate([np.stack(part) for part in found])
resizing, found = timed(resize)
pixels = np.concatenate(found)
invoking, _ = timed(invoke)
print(decoding + resizing + invoking)
print(json.dumps({"decode": decoding, "resize": resizing, "invoke": invoking}), file=sys.stderr)
"""


def main() -> None:
    """Measure, and print ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "cifar100")
    arguments = parser.parse_args()
    exports = sorted((arguments.run / "export").glob("*.tflite"))
    archive = Path(os.environ["EDGEPROOF_DATA"]) / "data" / "cifar100-test.zip"
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(archive) as pictures:
            names = [name for name in pictures.namelist() if name.endswith(".png")][: arguments.images]
            for number, name in enumerate(names):
                (Path(scratch) / f"{number:05}.png").write_bytes(pictures.read(name))
        extra = {}
        samples: dict[str, list[float]] = {}
        contenders: dict[str, Callable[[], float]] = {}
        for path in exports:
            kind = path.stem.rsplit("-", 1)[-1]
            contenders[f"edgeproof, {kind}"] = _timed([sys.executable, "-c", EDGEPROOF, path, scratch])
            contenders[f"stages alone, {kind}"] = _timed([sys.executable, "-c", STAGES, path, scratch])
            if MEDIAPIPE.is_file():
                contenders[f"MediaPipe, {kind}"] = _timed([MEDIAPIPE, "-c", TASKS, path, scratch])
        model = arguments.run / "model.keras"
        contenders["Keras"] = _timed([sys.executable, "-c", KERAS, model, scratch])
        samples = blocks(contenders, rounds=arguments.rounds)
        for path in exports:
            kind = path.stem.rsplit("-", 1)[-1]
            ours = samples[f"edgeproof, {kind}"]
            extra[f"{kind}: Keras / edgeproof"] = told(ratio(samples["Keras"], ours))
            extra[f"{kind}: rate, of what the stages reach"] = told(ratio(samples[f"stages alone, {kind}"], ours))
            if f"MediaPipe, {kind}" in samples:
                extra[f"{kind}: MediaPipe / edgeproof"] = told(ratio(samples[f"MediaPipe, {kind}"], ours))
    report(f"A folder of {len(names)} PNGs of 32 px", samples, "s", extra)


def _timed(command: list[str | Path]) -> Callable[[], float]:
    return lambda: float(json.loads(run(command, TF_CPP_MIN_LOG_LEVEL="3").stdout.split()[-1]))


if __name__ == "__main__":
    main()
