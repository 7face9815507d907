"""`python benchmarks/peers/plain_fit.py`: the plain recipe by Keras' own `fit`, and by edgeproof, side by side.

Needs EDGEPROOF_DATA. Both train alpha 1.0 at 96 px on all of CIFAR-100 from the same weights: ten epochs of the head,
then five of all but the first 50 layers. Prints JSON: seconds of each phase and epoch, top-1 on the test set, ratios.
With `--share 0.1` both see a tenth of the training pictures (a look at the speed alone); with `--only fit` or
`--only edgeproof` one of them runs, and what the other left in `--out` is used.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA = Path(os.environ.get("EDGEPROOF_DATA", "../shared"))
WEIGHTS = DATA / "keras/models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160_no_top.h5"
SIZE, CLASSES, FROZEN, BATCH = 96, 100, 50, 128
HEAD, FINETUNE = 10, 5

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


def pictures(share: float) -> tuple[Part, Part]:
    """Training and test pictures of 32 x 32 with their classes."""
    from edgeproof.train import config, dataset

    source = config.Data(
        source=str(DATA / "data/cifar100-train.zip"), test=str(DATA / "data/cifar100-test.zip"), source_size=32
    )
    found = dataset.load(source, size=SIZE, seed=0, near=False)
    every = round(1 / share)
    return (
        (found.train.stored[:][::every], found.train.classes[::every]),
        (found.test.stored[:], found.test.classes),
    )


def fit(share: float) -> dict[str, Any]:
    """As a tutorial has it: tf.data, a frozen base and a head, then `fit` again with the upper layers trainable."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    train, test = pictures(share)

    def batches(part: Part, *, training: bool) -> Any:
        def prepared(pixels: Any, classes: Any) -> tuple[Any, Any]:
            if training:
                pixels = tf.image.random_flip_left_right(pixels)
            return tf.image.resize(pixels, (SIZE, SIZE)), tf.one_hot(classes, CLASSES)

        found = tf.data.Dataset.from_tensor_slices(part)
        found = found.shuffle(len(part[0]), seed=0) if training else found
        return found.batch(BATCH).map(prepared, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    base = keras.applications.MobileNetV2(input_shape=(SIZE, SIZE, 3), include_top=False, weights=str(WEIGHTS))
    hidden = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs := keras.Input((SIZE, SIZE, 3)))
    base.trainable = False
    hidden = keras.layers.GlobalAveragePooling2D()(base(hidden))
    hidden = keras.layers.Dense(512, activation="relu")(hidden)
    hidden = keras.layers.Dropout(0.5)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(hidden))
    seconds: dict[str, list[float]] = {}
    for phase, epochs, rate in (("head", HEAD, 1e-3), ("finetune", FINETUNE, 1e-4)):
        if phase == "finetune":
            base.trainable = True
            for layer in base.layers[:FROZEN]:
                layer.trainable = False
        model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", ["accuracy"], jit_compile=False)
        clock = _Clock()
        model.fit(
            batches(train, training=True),
            epochs=epochs,
            validation_data=batches(test, training=False),
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=clock.begin, on_epoch_end=clock.end)],
        )
        seconds[phase] = clock.seconds
    found = model.evaluate(batches(test, training=False), verbose=0, return_dict=True)
    return {"seconds": seconds, "top1": float(found["accuracy"])}


class _Clock:
    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun = 0.0

    def begin(self, epoch: int, logs: object = None) -> None:
        self._begun = time.perf_counter()

    def end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self._begun)
        print(f"fit: epoch {epoch + 1} took {self.seconds[-1]:.1f} s", file=sys.stderr)


def edgeproof(share: float, out: Path) -> dict[str, Any]:
    """The same by `edgeproof train` with the plain recipe; times are those of history.csv, caching included."""
    from edgeproof.train import config, dataset, training

    whole = dataset.load

    def some(*arguments: Any, **more: Any) -> dataset.Dataset:
        found = whole(*arguments, **more)
        every = round(1 / share)
        return dataset.Dataset(found.train.take(range(0, len(found.train), every)), found.test, found.report)

    training.dataset.load = some if share < 1 else whole
    settings = config.load(
        None,
        [
            "recipe=plain",
            f"data.source={DATA / 'data/cifar100-train.zip'}",
            f"data.test={DATA / 'data/cifar100-test.zip'}",
            f"network.weights={WEIGHTS}",
        ],
    )
    run = training.train(settings, out / "run", overwrite=True)
    with run.history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    seconds = {
        phase: [float(row["seconds"]) for row in rows if row["phase"] == phase] for phase in ("head", "finetune")
    }
    return {"seconds": seconds, "top1": json.loads(run.metrics.read_text())["top1"]}


def main() -> None:
    """Run both, each in a process of its own, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("runs/plain-fit"))
    parser.add_argument("--only", choices=("fit", "edgeproof"))
    parser.add_argument("--child", choices=("fit", "edgeproof"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.child:
        found = fit(given.share) if given.child == "fit" else edgeproof(given.share, given.out)
        (given.out / f"{given.child}.json").write_text(json.dumps(found, indent=1))
        return
    for name in ("edgeproof", "fit"):
        if given.only in (None, name):
            command = [sys.executable, __file__, "--child", name, "--share", str(given.share), "--out", str(given.out)]
            subprocess.run(command, check=True)
    ours, theirs = (json.loads((given.out / f"{name}.json").read_text()) for name in ("edgeproof", "fit"))
    whole = {name: sum(map(sum, found["seconds"].values())) for name, found in (("ours", ours), ("fit", theirs))}
    ratios = {phase: sum(theirs["seconds"][phase]) / sum(ours["seconds"][phase]) for phase in ("head", "finetune")}
    print(
        json.dumps(
            {"edgeproof": ours, "fit": theirs, "times faster": {**ratios, "whole": whole["fit"] / whole["ours"]}}
        )
    )


if __name__ == "__main__":
    main()
