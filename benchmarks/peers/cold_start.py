"""From a new process to the first label: edgeproof, TensorFlow's own interpreter, MediaPipe, and a bare script.

python benchmarks/peers/cold_start.py [--rounds 9] [--python ENVIRONMENT/bin/python]

`--python` runs edgeproof and the bare script in another environment, such as one with the wheel that users install; an
editable installation takes longer to start.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from contest import ROOT, Process, blocks, ratio, report, run, told
from PIL import Image

from edgeproof import models
from edgeproof.runtime import golden, modelfile

MEDIAPIPE = ROOT / ".venv-peers" / "mediapipe" / "bin" / "python"
EDGEPROOF = """
import sys
from edgeproof.runtime import Classifier
print(Classifier(sys.argv[1]).classify(sys.argv[2], top=1)[0].label)
"""
# What everybody writes who reads a tutorial: no checks, no labels.
BARE = """
import sys
import numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
pixels = np.asarray(Image.open(sys.argv[2]).convert("RGB").resize((96, 96)))[np.newaxis]
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
interpreter.invoke()
print(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].argmax())
"""
TENSORFLOW = BARE.replace("from ai_edge_litert.interpreter import Interpreter", "import tensorflow as tf").replace(
    "= Interpreter(", "= tf.lite.Interpreter("
)
TASKS = """
import sys
from mediapipe import Image
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions
options = ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=1)
with ImageClassifier.create_from_options(options) as classifier:
    found = classifier.classify(Image.create_from_file(sys.argv[2]))
    print(found.classifications[0].categories[0].category_name)
"""


def main() -> None:
    """Measure, and print ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    arguments = parser.parse_args()
    rounds, python = arguments.rounds, arguments.python.absolute()
    model = models.path(models.CLASSIFIER)
    with tempfile.TemporaryDirectory() as scratch:
        picture = Path(scratch) / "picture.png"
        Image.open(io.BytesIO(golden.read(modelfile.read(model)).pictures[0])).resize((96, 96)).save(picture)
        command = python.with_name("edgeproof")
        commands = {
            "edgeproof Classifier": [python, "-c", EDGEPROOF, model, picture],
            "edgeproof classify": [command, "classify", model, picture],
            "bare script": [python, "-c", BARE, model, picture],
            "tf.lite.Interpreter": [sys.executable, "-c", TENSORFLOW, model, picture],
        }
        if MEDIAPIPE.is_file():
            commands["MediaPipe ImageClassifier"] = [MEDIAPIPE, "-c", TASKS, model, picture]
        peaks: dict[str, list[float]] = {name: [] for name in commands}

        def timed(name: str) -> Callable[[], float]:
            def once() -> float:
                # Not in the repository, whose folders would be taken for what is installed.
                found: Process = run(commands[name], folder=Path(scratch), TF_CPP_MIN_LOG_LEVEL="3")
                peaks[name].append(found.peak_mb)
                return found.seconds

            return once

        for name in commands:
            timed(name)()  # files into the system's cache
        peaks = {name: [] for name in commands}
        seconds = blocks({name: timed(name) for name in commands}, rounds=rounds)
    ours = "edgeproof Classifier"
    extra = {
        **{f"time, {name} / {ours}": told(ratio(seconds[name], seconds[ours])) for name in list(commands)[2:]},
        "time, edgeproof classify / bare script": told(ratio(seconds["edgeproof classify"], seconds["bare script"])),
        **{f"peak memory, {name} / {ours}": told(ratio(peaks[name], peaks[ours])) for name in list(commands)[2:]},
    }
    report("Cold start", seconds, "s", extra)
    report("Cold start, peak resident memory", peaks, "MB", {})


if __name__ == "__main__":
    main()
