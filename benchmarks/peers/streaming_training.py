"""Train on a folder that does not fit into the memory limit, beside a small one: peak memory, and pictures a second.

EDGEPROOF_DATA=… python benchmarks/peers/streaming_training.py [--images 200000] [--small 4000] [--limit 2GB]

The pictures are those of CIFAR-100, made JPEGs of 128 px; the large folder holds hard links to those of the small one.
Each is trained through the command line in a process of its own, the small one for as many epochs more as it has
fewer pictures, so that both process the same number. The clock runs from the note that the pictures are read to that
of the last epoch; peak memory is that of the process from its start to its end.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

SIDE = 128
TEST = 500


@dataclass(frozen=True)
class Outcome:
    """What one training took."""

    images: int
    epochs: int
    peak_mb: float
    reading_s: float
    training_s: float
    images_per_s: float


def main() -> None:
    """Make both folders, train on each, and print what they took as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--small", type=int, default=4000)
    parser.add_argument("--limit", default="2GB")
    parser.add_argument("--phase", choices=("head", "finetune"), default="finetune")
    parser.add_argument("--scratch", help="where the folders and runs are made: needs 10 GB for 200,000 pictures")
    parser.add_argument("--set", action="append", default=[], help="passed on to `edgeproof train`")
    chosen = parser.parse_args()
    data = Path(os.environ["EDGEPROOF_DATA"]) / "data"
    found = []
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as scratch:
        small, large = Path(scratch) / "small", Path(scratch) / "large"
        for part, count in (("train", chosen.small), ("test", TEST)):
            upscaled(data / f"cifar100-{part}.zip", small, count)
        linked(small, large, chosen.images)
        for folder, images in ((small, chosen.small), (large, chosen.images)):
            epochs = max(1, chosen.images // images)
            found.append(trained(folder, images, epochs, chosen.phase, chosen.limit, chosen.set))
            print(json.dumps(asdict(found[-1])), flush=True)
    ratio = found[1].images_per_s / found[0].images_per_s
    print(
        f"limit {chosen.limit}, peak {found[1].peak_mb:.0f} MB; the large set's rate is {ratio:.3f} of the small one's"
    )


def upscaled(archive: Path, folder: Path, count: int) -> None:
    """Write evenly spaced pictures of a zip as JPEG files of 128 px, by the names that they have in it."""
    with zipfile.ZipFile(archive) as packed:
        names = sorted(name for name in packed.namelist() if name.endswith(".png"))
        for name in (names[number * len(names) // count] for number in range(count)):
            path = (folder / name).with_suffix(".jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(io.BytesIO(packed.read(name))) as picture:
                picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, quality=90)


def linked(small: Path, large: Path, count: int) -> None:
    """Fill a folder with hard links to another's training pictures, as often as it takes, and to its test pictures."""
    training = sorted((small / "train").rglob("*.jpg"))
    for number in range(count):
        source = training[number % len(training)]
        target = large / source.relative_to(small).with_stem(f"{source.stem}-{number // len(training):04}")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    for source in (small / "test").rglob("*.jpg"):
        target = large / source.relative_to(small)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)


def trained(folder: Path, images: int, epochs: int, phase: str, limit: str, more: list[str]) -> Outcome:
    """Run `edgeproof train` for one phase, and read its notes as they come. Raises `RuntimeError` when it fails."""
    other = "finetune" if phase == "head" else "head"
    settings = [
        *("network.alpha=0.35", "network.weights=bundled", f"{phase}.epochs={epochs}", f"{other}.epochs=0"),
        *(f"{phase}.views={epochs}", *more),
    ]
    command = [sys.executable, "-m", "edgeproof", "train", "--data", folder, "--out", folder.with_suffix(".run")]
    command += ["--memory-limit", limit, *(part for setting in settings for part in ("--set", setting))]
    start = time.perf_counter()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    notes = []
    for line in child.stderr:
        notes.append((time.perf_counter() - start, line.rstrip()))
        print(f"{notes[-1][0]:8.1f} s  {line}", end="", file=sys.stderr)
    # Of this child alone, and from its start to its end: VmHWM, as the kernel hands it over.
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{folder}: the training failed: {notes[-1][1] if notes else 'without a word'}")
    read = next(at for at, line in notes if re.match(r"\d+ training and \d+ test pictures", line))
    done = max(at for at, line in notes if re.match(rf"{phase} epoch \d+:", line))
    rate = images * epochs / (done - read)
    return Outcome(
        images, epochs, round(usage.ru_maxrss / 1000, 1), round(read, 1), round(done - read, 1), round(rate, 1)
    )


if __name__ == "__main__":
    main()
