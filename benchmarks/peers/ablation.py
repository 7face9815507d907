"""`python benchmarks/peers/ablation.py`: what each setting of the better recipe gives, one changed at a time.

The recipe here is the one with Adam in Muon's place and without CutMix, which are among the changes.

Needs EDGEPROOF_DATA. Trains alpha 0.35 at 96 px, from the ImageNet weights, on every fifth of CIFAR-100's training
pictures, and judges by 5,000 others of the training pictures: the test set chooses nothing here. Prints a table: top-1
on those 5,000, what the change gains with the paired 95 % interval, top-1 on the (augmented) training pictures of the
last epoch, and minutes. What lies in `--out` already is not trained again; `--only` takes some by number.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("EDGEPROOF_DATA", "../shared"))
WEIGHTS = DATA / "keras/models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
EVERY, JUDGED = 5, 10
RECIPE = "the recipe"

# Each takes one thing from the recipe, or adds one to it; other seeds say how much is chance.
CHANGES: dict[str, tuple[str, ...]] = {
    RECIPE: (),
    "seed 2": ("seed=2",),
    "seed 3": ("seed=3",),
    "no flip": ("augmentation.flip=false",),
    "no shift": ("augmentation.shift=0",),
    "head without augmented views": ("head.views=0",),
    "no label smoothing": ("head.label_smoothing=0", "finetune.label_smoothing=0"),
    "constant learning rate, no warm-up": ("finetune.schedule=constant", "finetune.warmup=0"),
    "no weight decay (Adam)": ("finetune.weight_decay=0",),
    "batch norm in training mode": ("finetune.batch_norm=training",),
    "first 18 layers frozen, not 50": ("finetune.frozen_layers=18",),
    "batch 128": ("finetune.batch=128",),
    "dropout 0.5": ("network.dropout=0.5",),
    "average of the weights, 0.99": ("finetune.ema=0.99",),
    "layer decay 0.2": ("finetune.layer_decay=0.2",),
    "colour 0.2": ("augmentation.colour=0.2",),
    "RandAugment 1, magnitude 0.3": ("augmentation.randaugment=1", "augmentation.magnitude=0.3"),
    "erasing up to 0.3": ("augmentation.erase=0.3",),
    "mixup in half of the steps": ("finetune.mixup=0.5",),
    "CutMix in half of the steps": ("finetune.cutmix=0.5",),
    "Muon": ("finetune.optimizer=muon",),
    "Muon, CutMix in a quarter of the steps": ("finetune.optimizer=muon", "finetune.cutmix=0.25"),
    "Muon, half the rate": ("finetune.optimizer=muon", "finetune.learning_rate=1.5e-4"),
    "Muon, twice the rate": ("finetune.optimizer=muon", "finetune.learning_rate=6e-4"),
}


def train(name: str, out: Path) -> None:
    """One training into a run folder, on some of the training pictures and with others of them as its test set."""
    from edgeproof.train import config, dataset, training
    from edgeproof.train.dataset import Dataset

    whole = dataset.load

    def some(*arguments: Any, **more: Any) -> Dataset:
        found = whole(*arguments, **more, near=False)
        count = len(found.train)
        judged = found.train.take(range(1, count, JUDGED))
        return Dataset(found.train.take(range(0, count, EVERY)), judged, found.report)

    training.dataset.load = some
    settings = [
        f"data.source={DATA / 'data/cifar100-train.zip'}",
        f"data.test={DATA / 'data/cifar100-test.zip'}",
        f"network.weights={WEIGHTS}",
        "network.alpha=0.35",
        "finetune.optimizer=adam",
        "finetune.cutmix=0",
        "seed=1",
    ]
    training.train(config.load(None, [*settings, *CHANGES[name]]), out, overwrite=True)


def row(name: str, out: Path) -> str:
    """What the table says of one training."""
    from edgeproof.convert import paired
    from edgeproof.runtime.accuracy import right
    from edgeproof.train.run import Run

    run, base = Run(place(out, name)), Run(place(out, RECIPE))
    pictures = run.read_pictures()
    outputs, reference = run.read_predictions(pictures), base.read_predictions(pictures)
    found = paired.compare(outputs, reference, pictures.classes)
    low, high = (-bound for bound in reversed(found.drop_interval_points))
    gain = 100 * (found.gained - found.lost) / len(pictures)
    gained = "" if name == RECIPE else f"{gain:+.2f} [{low:+.2f}, {high:+.2f}]"
    with run.history.open(newline="") as file:
        epochs = list(csv.DictReader(file))
    minutes = sum(float(epoch["seconds"]) for epoch in epochs) / 60
    top1, trained = 100 * right(outputs, pictures.classes).mean(), 100 * float(epochs[-1]["top1"])
    return f"| {name} | {top1:.2f} % | {gained} | {trained:.1f} % | {minutes:.1f} |"


def place(out: Path, name: str) -> Path:
    """The run folder of a change."""
    return out / f"{list(CHANGES).index(name):02d}"


def main() -> None:
    """Train what is missing, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--only", type=int, nargs="*", default=range(len(CHANGES)))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        train(given.child, place(given.out, given.child))
        return
    names = [name for number, name in enumerate(CHANGES) if number in {0, *given.only}]
    for name in names:
        if not (place(given.out, name) / "metrics.json").is_file():
            subprocess.run([sys.executable, __file__, "--out", str(given.out), "--child", name], check=True)
            print(f"{name}: done", file=sys.stderr)
    print("| changed | top-1 | gain, points | training pictures | minutes |\n| --- | ---: | ---: | ---: | ---: |")
    print("\n".join(row(name, given.out) for name in names))


if __name__ == "__main__":
    main()
