"""`python benchmarks/peers/same_batches.py`: phase 2 of the plain recipe by `fit` and by edgeproof, chance left out.

Needs EDGEPROOF_DATA. Alpha 1.0 at 96 px, on a tenth of CIFAR-100's training pictures, another for each of `--seeds`.
Both begin with the same head and take the same mirrored pictures in the same order with the same dropout: Keras' `fit`
on the whole network by Keras' own layers, edgeproof as it trains, on activations of the frozen part which LiteRT
computed and which lie in half precision, by its fused layers. What remains between the two is what these do to a
training. As a measure of chance, edgeproof trains once more in another order. Prints JSON: the loss of each epoch,
top-1 on the whole test set in percent, how far edgeproof is ahead of `fit` in points with the paired 95 % interval, and
the share of pictures on which both answer the same; then the mean of all seeds with Student's interval.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from plain_fit import mean, settings, some


def trained(seed: int, share: float, scratch: Path) -> dict[str, Any]:
    """One seed's three trainings."""
    import keras

    from edgeproof.convert import paired
    from edgeproof.runtime.accuracy import right
    from edgeproof.train import dataset, loop, network, phases
    from edgeproof.train.batches import Batches, PictureSource
    from edgeproof.train.keeping import Keeper
    from edgeproof.train.run import Run

    config = settings(seed)
    found = dataset.load(config.data, size=config.network.size, seed=seed, near=False)
    train, test = found.train.take(some(len(found.train), share, seed)), found.test
    watched = test.take(some(len(test), share, seed))

    def run(phase: Any, order: int, name: str) -> list[float]:
        """The loss of each epoch of a phase, in a folder of its own."""
        shutil.rmtree(scratch / name, ignore_errors=True)
        keeper = Keeper(Run(scratch / name))
        phase(model, phases.Material(train, watched, "test", scratch / name / "cache"), settings(order), keeper)
        return [epoch.loss for epoch in keeper.epochs]

    keras.utils.set_random_seed(seed)
    model = network.build(config.network, len(train.labels))
    run(phases.train_head, seed, "head")
    start = loop.values(model.variables)

    def edgeproof(name: str, order: int) -> tuple[list[float], Any]:
        loop.assign(model.variables, start)
        return run(phases.finetune, order, name), phases.predict(model, test, name)

    def fit() -> tuple[list[float], Any]:
        loop.assign(model.variables, start)
        pictures = PictureSource(train, config.augmentation_in("finetune"), seed, config.views_in("finetune"))
        plan = Batches(pictures, train.classes, len(train.labels), config.finetune.batch, seed)
        network.freeze_as_set(model, config)
        optimizer = keras.optimizers.Adam(config.finetune.learning_rate)
        model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
        epochs, steps = config.finetune.epochs, plan.steps_per_epoch
        ran = model.fit(plan.dataset(0, epochs * steps), epochs=epochs, steps_per_epoch=steps, verbose=0)
        return ran.history["loss"], phases.predict(model, test, "fit")

    runs = {"fit": fit(), "edgeproof": edgeproof("same", seed), "another order": edgeproof("other", seed + 1000)}
    outputs = {name: answers for name, (_, answers) in runs.items()}

    def beside(one: str, two: str) -> dict[str, Any]:
        """Of `one`, held against `two`."""
        judged = paired.compare(outputs[one], outputs[two], test.classes)
        ahead = 100 * (judged.gained - judged.lost) / len(test)
        interval = [-bound for bound in reversed(judged.drop_interval_points)]
        same = float((outputs[one].argmax(axis=1) == outputs[two].argmax(axis=1)).mean())
        return {"ahead": ahead, "interval": interval, "same answers": same}

    return {
        "loss": {name: losses for name, (losses, _) in runs.items()},
        "top1": {name: 100 * float(right(answers, test.classes).mean()) for name, answers in outputs.items()},
        "edgeproof beside fit": beside("edgeproof", "fit"),
        "another order beside edgeproof": beside("another order", "edgeproof"),
    }


def main() -> None:
    """Each seed in a process of its own; what lies in `--out` is not trained again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/same-batches"))
    parser.add_argument("--child", nargs=2, metavar=("SEED", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.child:
        seed, file = given.child
        found = trained(int(seed), given.share, given.out / "scratch")
        Path(file).write_text(json.dumps(found, indent=1))
        return
    files = [given.out / f"seed-{seed}.json" for seed in given.seeds]
    for seed, file in zip(given.seeds, files, strict=True):
        if not file.is_file():
            command = [sys.executable, __file__, "--share", str(given.share), "--out", str(given.out)]
            subprocess.run([*command, "--child", str(seed), str(file)], check=True)
    found = {file.stem: json.loads(file.read_text()) for file in files}
    ahead = mean([each["edgeproof beside fit"]["ahead"] for each in found.values()])
    print(json.dumps({**found, "edgeproof is ahead of fit by points": ahead}, indent=1))


if __name__ == "__main__":
    main()
