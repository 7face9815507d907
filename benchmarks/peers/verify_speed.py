"""How long it takes to verify float32 and int8 on 10,000 test pictures, beside what people do instead.

    python benchmarks/peers/verify_speed.py RUN FLOAT32.tflite INT8.tflite TEST.zip [--only NAME]… [--orders 1]

Each contender is a process of its own, from its start to its last answer, on the same PNG files, in the order ABBA:

- verify: `edgeproof verify` of both files on the zip, with the reference's answers kept from before, without TensorFlow
- kept: the same on the pictures that the run folder keeps, which need no decoding
- keras: Keras' `evaluate` with batches of 32, its default, twice over, on a tf.data pipeline that decodes and resizes
- keras256: the same with batches of 256
- loop: for each file a tf.lite.Interpreter, one picture at a time, opened and resized with Pillow

`own` is the time without start and imports. Peak memory is VmHWM. The parent imports nothing large.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTENDERS = ("verify", "kept", "loop", "keras", "keras256")


def main() -> None:
    """Run as the parent, or as one contender when asked to be one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("files", type=Path, nargs=2)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--orders", type=int, default=1)
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="these contenders; all unless given")
    parser.add_argument("--be", choices=CONTENDERS)
    given = parser.parse_args()
    if given.be:
        contend(given.be, given.run, given.files, given.pictures)
        return
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        measure("verify", sys.argv[1:])  # computes and keeps the reference's answers, and is not counted
        chosen = tuple(given.only or CONTENDERS)
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
        for name in (*chosen, *reversed(chosen)) * given.orders:
            measured[name].append(measure(name, sys.argv[1:]))
            print(name, json.dumps(measured[name][-1]), f"load {os.getloadavg()[0]:.1f}", flush=True)
    if any(each["tensorflow"] for name in ("verify", "kept") for each in measured.get(name, [])):
        raise SystemExit("edgeproof verify imported TensorFlow")
    base = mean(measured[chosen[0]], "wall_s")
    print(f"{'':10} {'wall, s':>8} {'own, s':>8} {'CPU, s':>8} {'peak, MB':>9} {'verify is faster':>17}")
    for name, found in measured.items():
        figures = [mean(found, key) for key in ("wall_s", "own_s", "cpu_s", "peak_mb")]
        print("{:10} {:8.1f} {:8.1f} {:8.1f} {:9.0f}".format(name, *figures), f"{figures[0] / base:16.1f}×")


def mean(found: list[dict[str, float]], key: str) -> float:
    """The mean of the two or more blocks of a contender."""
    return sum(each[key] for each in found) / len(found)


def measure(name: str, arguments: list[str]) -> dict[str, float]:
    """Run one contender in a fresh process."""
    start = time.perf_counter()
    child = subprocess.run(
        [sys.executable, __file__, *arguments, "--be", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wall = time.perf_counter() - start
    if child.returncode:
        raise SystemExit(f"{name} ended with status {child.returncode}: {child.stdout[-500:]}")
    found = json.loads(child.stdout.splitlines()[-1])
    return {"wall_s": round(wall, 2), **found}


def contend(name: str, run: Path, files: list[Path], pictures: Path) -> None:
    """Do the work, and print what it took as the last line."""
    if name in ("verify", "kept"):
        own = verify(run, files, pictures if name == "verify" else None)
    elif name == "loop":
        own = loop(run, files, pictures)
    else:
        own = keras_evaluate(run, pictures, 256 if name == "keras256" else 32)
    times = os.times()
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    taken = {"own_s": round(own, 2), "cpu_s": round(times.user + times.system, 2), "peak_mb": round(peak / 1e3)}
    print(json.dumps({**taken, "tensorflow": "tensorflow" in sys.modules}))


def verify(run: Path, files: list[Path], pictures: Path | None) -> float:
    """What `edgeproof verify` does."""
    from edgeproof import cli

    start = time.perf_counter()
    data = ["--data", str(pictures)] if pictures else []
    status = cli.run(["verify", *map(str, files), "--against", str(run), *data, "--json", "--quiet"])
    if status not in (0, 1):
        raise SystemExit(status)
    return time.perf_counter() - start


def png_files(run: Path, pictures: Path) -> tuple[list[bytes], list[int]]:
    """The PNG files of the test set, not decoded, with the numbers of their classes."""
    import zipfile

    labels = (run / "labels.txt").read_text().split("\n")
    with zipfile.ZipFile(pictures) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        return [archive.read(name) for name in names], [labels.index(name.split("/")[-2]) for name in names]


def loop(run: Path, files: list[Path], pictures: Path) -> float:
    """The loop of the tutorials: one picture at a time, one interpreter a file."""
    import io

    import numpy as np
    import tensorflow as tf
    from PIL import Image

    start = time.perf_counter()
    contents, classes = png_files(run, pictures)
    for file in files:
        interpreter = tf.lite.Interpreter(str(file))
        interpreter.allocate_tensors()
        taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        side, right = int(taken["shape"][1]), 0
        for content, true in zip(contents, classes, strict=True):
            picture = Image.open(io.BytesIO(content)).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
            interpreter.set_tensor(taken["index"], np.expand_dims(np.asarray(picture, taken["dtype"]), 0))
            interpreter.invoke()
            right += int(interpreter.get_tensor(given["index"])[0].argmax()) == true
        print(file.name, right / len(classes))
    return time.perf_counter() - start


def keras_evaluate(run: Path, pictures: Path, batch: int) -> float:
    """Keras' evaluate, twice over, as for two models."""
    import keras
    import tensorflow as tf

    start = time.perf_counter()
    contents, classes = png_files(run, pictures)
    model = keras.models.load_model(run / "model.keras", compile=False)
    model.compile(
        loss="sparse_categorical_crossentropy", metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(5)]
    )
    height, width = model.input_shape[1:3]

    def read(content, true):  # type: ignore[no-untyped-def]  # tensors that TensorFlow traces; it has no types
        return tf.image.resize(tf.io.decode_png(content, 3), (height, width)), true

    files = tf.data.Dataset.from_tensor_slices((contents, classes))
    data = files.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(batch).prefetch(tf.data.AUTOTUNE)
    for _ in range(2):
        print(model.evaluate(data, verbose=0))
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
