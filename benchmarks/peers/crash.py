"""Is a training ever lost? Killed with SIGKILL and stopped by a full disk, at random moments, again and again.

python benchmarks/peers/crash.py [--kills 50] [--full 20] [--seed 0] [--folder DIR]

A short training on the digits runs once undisturbed; then in another folder it is killed, every fourth time at the
moment at which it writes a checkpoint, and started again by the same command. Whenever it comes to its end its weights
are held against the undisturbed run's, bit for bit, and it begins anew until it was killed often enough. The same in a
small tmpfs (needs the right to mount) that is filled at random moments. Ends with status 1 where a checkpoint was lost,
more than one epoch was repeated, weights differ, or a full disk gave anything but one line and status 2.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

SETTINGS = (
    *("recipe=better", "data.source=digits", "data.validation_share=0.1", "network.weights=bundled"),
    *("network.alpha=0.35", "network.size=32", "network.dense=64", "head.epochs=4", "head.batch=32"),
    *("finetune.epochs=6", "finetune.frozen_layers=143", "finetune.views=2", "finetune.mixup=0.2"),
    *("finetune.ema=0.9", "finetune.patience=5"),
)
DISK_MB = 64
RESUMED = re.compile(r"resuming after (\d+) finished epochs, step (\d+) of phase (\w+)")
DONE = re.compile(r"^\w+ epoch (\d+): loss", re.MULTILINE)


@dataclass
class Found:
    """What was counted over all interruptions of one kind."""

    interrupted: int = 0
    while_saving: int = 0
    completed: int = 0
    checkpoints_lost: int = 0
    most_epochs_repeated: int = 0
    unequal: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was lost."""
        return not (self.checkpoints_lost or self.unequal or self.complaints) and self.most_epochs_repeated <= 1


class Training:
    """One run folder, and the process that trains in it."""

    def __init__(self, run: Path, log: Path) -> None:
        self.run, self._log = run, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the one command that is always the same."""
        command = [sys.executable, "-m", "edgeproof", "train", "--out", str(self.run), "--deterministic"]
        command += [part for setting in SETTINGS for part in ("--set", setting)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)

    @property
    def told(self) -> str:
        """What the process said on stderr."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit status, None where it still runs after so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def kill(self) -> None:
        """SIGKILL: no handler, no buffers written."""
        self.process.kill()
        self.process.wait()

    def is_saving(self) -> bool:
        """Whether a checkpoint stands there under a temporary name."""
        with contextlib.suppress(OSError):
            return any((self.run / "checkpoints").glob(".*.tmp*"))
        return False

    def newest(self) -> tuple[int, int, str] | None:
        """Epochs, step and phase of the newest note on disk."""
        notes = sorted((self.run / "checkpoints").glob("[0-9]*.json"))
        if not notes:
            return None
        note = json.loads(notes[-1].read_bytes())
        return len(note["history"]), note["step"], note["phase"]

    def result(self) -> dict[str, bytes]:
        """Every array of the trained model, as bytes, and what it scores on the test set."""
        with zipfile.ZipFile(self.run / "model.keras") as archive:
            content = archive.read("model.weights.h5")
        arrays: dict[str, bytes] = {"metrics": (self.run / "metrics.json").read_bytes()}
        with h5py.File(io.BytesIO(content)) as file:
            file.visititems(
                lambda name, item: arrays.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
            )
        return arrays


def check_resumed(training: Training, expected: tuple[int, int, str] | None, before: str, found: Found) -> None:
    """Hold what a process said it went on from against what lay on disk, and what the one before had told."""
    told = training.told
    if "passed over" in told:
        found.checkpoints_lost += 1
        found.complaints.append(told[-400:])
    started = RESUMED.search(told)
    position = (int(started[1]), int(started[2]), started[3]) if started else None
    if position is None and "training pictures a class" not in told:
        return  # killed before it could say anything
    if position is None and "finetune epoch" not in told and "head epoch" not in told:
        return
    if position != expected:
        found.checkpoints_lost += 1
        found.complaints.append(f"on disk {expected}, resumed from {position}")
    done = max((int(number) for number in DONE.findall(before)), default=0)
    found.most_epochs_repeated = max(found.most_epochs_repeated, done - (position[0] if position else 0))


def ended(training: Training, wanted: dict[str, bytes], found: Found) -> None:
    """Hold a finished run against the undisturbed one."""
    found.completed += 1
    if training.result() != wanted:
        found.unequal += 1
        found.complaints.append("the weights differ")
    for path in training.run.rglob("*"):
        if ".tmp" in path.name or path.name in {"cache", "checkpoints"}:
            found.complaints.append(f"{path} was left")
    shutil.rmtree(training.run)


def interruptions(
    training: Training, wanted: dict[str, bytes], times: int, interrupt: Any, found: Found
) -> Iterator[int]:
    """Start, interrupt and start again until it was interrupted so often, and then to the end."""
    before, expected = "", None
    while True:
        training.start()
        status = interrupt(found.interrupted) if found.interrupted < times else training.wait()
        check_resumed(training, expected, before, found)
        if status == 0:
            ended(training, wanted, found)
            before, expected = "", None
            if found.interrupted >= times:
                return
            continue
        if found.interrupted >= times:
            found.complaints.append(f"status {status}: {training.told[-400:]}")
            return
        found.interrupted += 1
        # What an earlier process had done and this one had not yet reached is still to be remembered.
        before, expected = before + training.told, training.newest()
        yield found.interrupted


def killing(training: Training, seconds: float, draw: random.Random, found: Found) -> Any:
    """A function that waits for a random moment, and kills."""

    def interrupt(number: int) -> int | None:
        status = training.wait(draw.uniform(0, seconds))
        if status is not None:
            return status
        if number % 4 == 3:
            while not training.is_saving():
                status = training.process.poll()
                if status is not None:
                    return status
                time.sleep(0.0005)
            found.while_saving += 1
        training.kill()
        return None

    return interrupt


def filling(training: Training, seconds: float, draw: random.Random, found: Found, disk: Path) -> Any:
    """A function that waits for a random moment, fills the disk until the training ends, and makes room again."""

    def interrupt(number: int) -> int | None:
        status = training.wait(draw.uniform(0, seconds))
        if status is not None:
            return status
        ballast = disk / "ballast"
        while training.process.poll() is None:
            fill(ballast)
            time.sleep(0.05)
        ballast.unlink()
        status, told = training.wait(), training.told
        refusals = [line for line in told.splitlines() if line.startswith("edgeproof: ")]
        if status and (status != 2 or len(refusals) != 1 or told.splitlines()[-1:] != refusals or "Traceback" in told):
            found.complaints.append(f"status {status}: {told[-600:]}")
        elif status:
            print(refusals[0], file=sys.stderr, flush=True)
        return 0 if status == 0 else None

    return interrupt


def fill(path: Path) -> None:
    """Add to a file until no byte more fits."""
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A tmpfs of a few MB, None where it may not be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def counted(steps: Iterator[int], name: str, found: Found) -> dict[str, Any]:
    """Run through all interruptions, telling of each on stderr."""
    for number in steps:
        print(f"{name} {number}: {found}", file=sys.stderr, flush=True)
    return {**vars(found), "passed": found.passed}


def main() -> int:
    """Do all of it, and print one JSON document."""
    parser = argparse.ArgumentParser()
    for name, default in (("kills", 50), ("full", 20), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    draw = random.Random(given.seed)
    calm = Training(folder / "calm", folder / "calm.log")
    start = time.perf_counter()
    calm.start()
    if calm.wait():
        print(calm.told, file=sys.stderr)
        return 1
    seconds, wanted = time.perf_counter() - start, calm.result()
    print(f"undisturbed: {seconds:.1f} s", file=sys.stderr, flush=True)
    summary: dict[str, Any] = {"undisturbed_seconds": round(seconds, 1), "arrays_compared": len(wanted)}
    killed, found = Training(folder / "killed", folder / "killed.log"), Found()
    steps = interruptions(killed, wanted, given.kills, killing(killed, seconds, draw, found), found)
    summary["killed"] = counted(steps, "killed", found)
    with small_disk(folder / "disk") as disk:
        if disk is None:
            summary["disk_full"] = "not tried: a tmpfs cannot be mounted here"
        elif given.full:
            full, found = Training(disk / "run", folder / "full.log"), Found()
            steps = interruptions(full, wanted, given.full, filling(full, seconds, draw, found, disk), found)
            summary["disk_full"] = counted(steps, "disk full", found)
    summary["seconds"] = round(time.perf_counter() - start)
    print(json.dumps(summary, indent=2))
    shutil.rmtree(folder)
    return int(not all(each["passed"] for each in summary.values() if isinstance(each, dict)))


if __name__ == "__main__":
    sys.exit(main())
