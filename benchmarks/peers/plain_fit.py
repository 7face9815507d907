"""`python benchmarks/peers/plain_fit.py`: the plain recipe by Keras' own `fit`, and by edgeproof, side by side.

Needs EDGEPROOF_DATA. Both train alpha 1.0 at 96 px on CIFAR-100 from the same weights: ten epochs of the head, then
five of all but the first 50 layers. Prints JSON: seconds of each phase and epoch, top-1 on the test set, ratios. A
phase's seconds have everything in them that it takes, conversion of the frozen part included; the data are loaded.

With `--share 0.1` both see a tenth of the pictures, in the order ABBA: a look at the speed alone, in which what else
the machine does cancels out. With `--only fit` or `--only edgeproof` one of them runs, and what the other left in
`--out` is used.

With `--share 0.1 --seeds 0 1 2` it is a look at the accuracy: both train with each seed, on another tenth for each, and
the differences of their top-1 have a mean with Student's 95 % interval. What lies in `--out` is not trained again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DATA = Path(os.environ.get("EDGEPROOF_DATA", "../shared"))
WEIGHTS = DATA / "keras/models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160_no_top.h5"
SIZE, CLASSES, FROZEN, BATCH = 96, 100, 50, 128
HEAD, FINETUNE = 10, 5
# Of all pictures each once; of a part of them in turns.
ORDER = {False: ("edgeproof", "fit"), True: ("edgeproof", "fit", "fit", "edgeproof")}

Turns = list[dict[str, Any]]
Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


def some(count: int, share: float, seed: int) -> range:
    """The rows that a training sees: seeds 0 to 9 take another tenth each."""
    every = round(1 / share)
    return range(seed % every, count, every)


def settings(seed: int) -> Any:
    """edgeproof's, of the plain recipe on CIFAR-100."""
    from edgeproof.train import config

    return config.load(
        None,
        [
            "recipe=plain",
            f"data.source={DATA / 'data/cifar100-train.zip'}",
            f"data.test={DATA / 'data/cifar100-test.zip'}",
            f"network.weights={WEIGHTS}",
            f"seed={seed}",
        ],
    )


def pictures(share: float, seed: int) -> tuple[Part, Part, Part]:
    """Training pictures of 32 x 32 with their classes, those of the test set to watch, and all of the test set."""
    from edgeproof.train import dataset

    found = dataset.load(settings(seed).data, size=SIZE, seed=0, near=False)
    train, watched = (part.take(some(len(part), share, seed)) for part in (found.train, found.test))
    return tuple((part.stored[:], part.classes) for part in (train, watched, found.test))


def fit(share: float, seed: int) -> dict[str, Any]:
    """As a tutorial has it: tf.data, a frozen base and a head, then `fit` again with the upper layers trainable."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    train, watched, test = pictures(share, seed)

    def batches(part: Part, *, training: bool) -> Any:
        def prepared(pixels: Any, classes: Any) -> tuple[Any, Any]:
            if training:
                pixels = tf.image.random_flip_left_right(pixels)
            return tf.image.resize(pixels, (SIZE, SIZE)), tf.one_hot(classes, CLASSES)

        found = tf.data.Dataset.from_tensor_slices(part)
        found = found.shuffle(len(part[0]), seed=seed) if training else found
        return found.batch(BATCH).map(prepared, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    base = keras.applications.MobileNetV2(input_shape=(SIZE, SIZE, 3), include_top=False, weights=str(WEIGHTS))
    hidden = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs := keras.Input((SIZE, SIZE, 3)))
    base.trainable = False
    hidden = keras.layers.GlobalAveragePooling2D()(base(hidden))
    hidden = keras.layers.Dense(512, activation="relu")(hidden)
    hidden = keras.layers.Dropout(0.5)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(hidden))
    seconds: dict[str, float] = {}
    epoch_seconds: dict[str, list[float]] = {}
    watched_top1: list[float] = []
    for phase, epochs, rate in (("head", HEAD, 1e-3), ("finetune", FINETUNE, 1e-4)):
        if phase == "finetune":
            base.trainable = True
            for layer in base.layers[:FROZEN]:
                layer.trainable = False
        begun = time.perf_counter()
        model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
        clock = _Clock()
        ran = model.fit(
            batches(train, training=True),
            epochs=epochs,
            validation_data=batches(watched, training=False),
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=clock.begin, on_epoch_end=clock.end)],
        )
        seconds[phase], epoch_seconds[phase] = time.perf_counter() - begun, clock.seconds
        watched_top1 += ran.history["val_accuracy"]
    found = model.evaluate(batches(test, training=False), verbose=0, return_dict=True)
    return _figures(seconds, epoch_seconds, watched_top1, float(found["accuracy"]))


def _figures(
    seconds: dict[str, float], epoch_seconds: dict[str, list[float]], watched_top1: list[float], top1: float
) -> dict[str, Any]:
    """Of one training: `watched_top1` after every epoch of both phases, `top1` on the whole test set in the end."""
    return {"seconds": seconds, "epoch_seconds": epoch_seconds, "watched_top1": watched_top1, "top1": top1}


class _Clock:
    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun = 0.0

    def begin(self, epoch: int, logs: object = None) -> None:
        self._begun = time.perf_counter()

    def end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self._begun)
        print(f"fit: epoch {epoch + 1} took {self.seconds[-1]:.1f} s", file=sys.stderr)


def edgeproof(share: float, seed: int, out: Path) -> dict[str, Any]:
    """The same by `edgeproof train` with the plain recipe; epochs as in history.csv, what they cache included."""
    import keras

    from edgeproof.runtime.accuracy import right
    from edgeproof.train import dataset, phases, training

    load = dataset.load
    tests = []

    def partly(*arguments: Any, **more: Any) -> dataset.Dataset:
        found = load(*arguments, **more)
        tests.append(found.test)
        parts = (part.take(some(len(part), share, seed)) for part in (found.train, found.test))
        return dataset.Dataset(*parts, found.report)

    training.dataset.load = partly
    seconds: dict[str, float] = {}
    for phase, name in (("head", "train_head"), ("finetune", "finetune")):
        setattr(phases, name, _timed(getattr(phases, name), seconds, phase))
    run = training.train(settings(seed), out / "run", overwrite=True)
    with run.history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = {phase: [float(row["seconds"]) for row in rows if row["phase"] == phase] for phase in seconds}
    outputs = phases.predict(keras.models.load_model(run.model), tests[0], "All of the test set")
    top1 = float(right(outputs, tests[0].classes).mean())
    return _figures(seconds, epochs, [float(row["watched_top1"]) for row in rows], top1)


def _timed(call: Callable[..., None], seconds: dict[str, float], name: str) -> Callable[..., None]:
    def timed(*arguments: Any) -> None:
        begun = time.perf_counter()
        call(*arguments)
        seconds[name] = time.perf_counter() - begun

    return timed


def main() -> None:
    """Run both, each in a process of its own, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("runs/plain-fit"))
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--only", choices=("fit", "edgeproof"))
    parser.add_argument("--child", nargs=3, metavar=("NAME", "SEED", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.child:
        name, seed, file = given.child
        found = fit(given.share, int(seed)) if name == "fit" else edgeproof(given.share, int(seed), given.out)
        Path(file).write_text(json.dumps(found, indent=1))
        return
    # Of the speed each turn anew; of the accuracy what is missing.
    if given.seeds:
        turns = [(name, seed, f"seed-{seed}-{name}.json") for seed in given.seeds for name in ORDER[False]]
    else:
        turns = [(name, 0, f"{number}-{name}.json") for number, name in enumerate(ORDER[given.share < 1])]
    found = {"edgeproof": [], "fit": []}
    for name, seed, file in turns:
        place = given.out / file
        if given.only in (None, name) and not (given.seeds and place.is_file()):
            command = [sys.executable, __file__, "--share", str(given.share), "--out", str(given.out)]
            subprocess.run([*command, "--child", name, str(seed), str(place)], check=True)
        found[name].append(json.loads(place.read_text()))
    if given.seeds:
        print(json.dumps(differences(**found), indent=1))
    else:
        print(json.dumps({**found, "times faster": compared(**found)}, indent=1))


def differences(edgeproof: Turns, fit: Turns) -> dict[str, Any]:
    """Top-1 in percent of both with each seed; how far edgeproof is ahead in the mean, with Student's 95 % interval."""
    ours, theirs = ([100 * turn["top1"] for turn in turns] for turns in (edgeproof, fit))
    return {"edgeproof": ours, "fit": theirs, "ahead": mean(np.subtract(ours, theirs))}


def mean(values: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
    """The mean of some trainings' figures with Student's 95 % interval."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    return {"mean": float(np.mean(values)), "interval": [float(low), float(high)]}


def compared(edgeproof: Turns, fit: Turns) -> dict[str, float]:
    """How much longer `fit` took: in phase 1, in an epoch of phase 2 (by the medians), and in both phases together."""

    def seconds(turns: Turns, *phases: str) -> float:
        return sum(turn["seconds"][phase] for turn in turns for phase in phases)

    def epoch(turns: Turns) -> float:
        return median(value for turn in turns for value in turn["epoch_seconds"]["finetune"])

    return {
        "phase 1": seconds(fit, "head") / seconds(edgeproof, "head"),
        "epoch of phase 2": epoch(fit) / epoch(edgeproof),
        "whole": seconds(fit, "head", "finetune") / seconds(edgeproof, "head", "finetune"),
    }


if __name__ == "__main__":
    main()
