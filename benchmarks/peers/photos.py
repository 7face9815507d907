"""Label a folder of 200 JPEGs of 12 megapixels: edgeproof, a plain Pillow loop, and MediaPipe.

python benchmarks/peers/photos.py [--images 200] [--different 12] [--rounds 3]

The photos are drawn with the statistics of photos; every file is one of a few different ones. Every contender runs in
a process of its own and times itself, without imports and without loading the shipped model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from contest import blocks, ratio, report, told
from folders import EDGEPROOF, MEDIAPIPE, TASKS, _timed
from reduced_decoding import drawn

from edgeproof import models

LOOP = """
import glob, sys, time
import numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
start = time.perf_counter()
for path in sorted(glob.glob(sys.argv[2] + "/*")):
    with Image.open(path) as photo:
        pixels = np.asarray(photo.convert("RGB").resize((32, 32), Image.BILINEAR).resize((96, 96), Image.BILINEAR))
    interpreter.set_tensor(taken, pixels[np.newaxis])
    interpreter.invoke()
    interpreter.get_tensor(given)[0].argmax()
print(time.perf_counter() - start)
"""


def main() -> None:
    """Draw, measure, and print ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--different", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    model, draw = models.path(models.CLASSIFIER), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        kept, folder = Path(scratch) / "kept", Path(scratch) / "photos"
        kept.mkdir()
        folder.mkdir()
        for number in range(arguments.different):
            drawn((4000, 3000), draw).save(kept / f"{number}.jpg", quality=90)
        for number in range(arguments.images):
            (folder / f"{number:03}.jpg").symlink_to(kept / f"{number % arguments.different}.jpg")
        contenders = {
            "edgeproof": _timed([sys.executable, "-c", EDGEPROOF, model, folder]),
            "Pillow loop": _timed([sys.executable, "-c", LOOP, model, folder]),
        }
        if MEDIAPIPE.is_file():
            contenders["MediaPipe"] = _timed([MEDIAPIPE, "-c", TASKS, model, folder])
        samples = blocks(contenders, rounds=arguments.rounds)
    extra = {f"{name} / edgeproof": told(ratio(samples[name], samples["edgeproof"])) for name in list(contenders)[1:]}
    report(f"{arguments.images} JPEGs of 12 megapixels", samples, "s", extra)


if __name__ == "__main__":
    main()
