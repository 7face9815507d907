"""The toolkit in a process of its own: what it is given, its progress, and its end.

The toolkit switches every Keras of its process to Keras 2, so that it must not be imported where Keras 3 works.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec
import numpy as np

from edgeproof.convert import twin
from edgeproof.convert.finetuning import Finetuning
from edgeproof.runtime import progress
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels, Preprocessing
from edgeproof.train.split import balanced_sample

COMMAND = (sys.executable, "-P", "-m", "edgeproof.convert.toolkit")
PROBES = 8
# So many training pictures are given at least, where there are so many.
LEAST_PICTURES = 1024
JOB, CALIBRATION, PROBE, PICTURES, RESULT, LOG = (
    *("job.json", "calibration.npy", "probe.npz", "pictures.npz", "result", "toolkit.log"),
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the toolkit is to do with the twin in its folder, and with what."""

    task: Literal["quantise", "prune", "cluster"]
    settings: Finetuning
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    output: Literal["uint8", "float32"] = "float32"
    sparsity: float = 0.5
    clusters: int = 16


class Progress(msgspec.Struct, frozen=True):
    """A line of the toolkit's stdout: so many steps are done; or, with `error`, why it stops."""

    done: int = 0
    note: str = ""
    error: str = ""


def run(
    model: Any,
    train: LabelledPictures,
    *,
    description: str,
    calibration: Pixels | None = None,
    command: Sequence[str] = COMMAND,
    **wanted: Any,
) -> bytes:
    """Do a job with the toolkit on a Keras 3 model and return what it leaves; `wanted` are fields of `Job`.

    Raises `ModelError` for a model that has no twin, or when the toolkit fails.
    """
    job = Job(preprocessing=train.preprocessing, labels=train.labels, **wanted)
    with TemporaryDirectory(prefix="edgeproof-toolkit-") as scratch:
        folder = Path(scratch)
        fill(folder, job, model, train, calibration)
        with progress.bar(description, job.settings.steps, note=(state := _State()).note) as advance:
            _follow([*command, scratch], folder, state, advance)
        return (folder / RESULT).read_bytes()


def fill(folder: Path, job: Job, model: Any, train: LabelledPictures, calibration: Pixels | None) -> None:
    """Put what the toolkit is to be given into a folder; of the pictures no more than its steps take."""
    twin.write(twin.describe(model), folder)
    (folder / JOB).write_bytes(msgspec.json.encode(job))
    if calibration is not None:
        np.save(folder / CALIBRATION, calibration)
    wanted = max(LEAST_PICTURES, job.settings.steps * job.settings.batch)
    chosen = train.take(balanced_sample(train.classes, wanted, job.settings.seed))
    np.savez(folder / PICTURES, stored=chosen.stored[:], classes=chosen.classes)
    probes = train.preprocessing.finished(chosen.stored[:PROBES])
    outputs = model.predict(probes.astype(np.float32), verbose=0)
    np.savez(folder / PROBE, pixels=probes, outputs=outputs)


def read_pictures(folder: Path, job: Job) -> LabelledPictures:
    """The training pictures of a folder, in the child; their names and hashes stayed behind."""
    with np.load(folder / PICTURES) as arrays:
        stored, classes = arrays["stored"], arrays["classes"]
    names = tuple(str(number) for number in range(len(stored)))
    return LabelledPictures(job.labels, names, classes, stored, names, job.preprocessing)


class _State:
    """The last progress of the child."""

    def __init__(self) -> None:
        self.last = Progress()

    def note(self) -> str:
        return self.last.note


def _follow(command: Sequence[str], folder: Path, state: _State, advance: Callable[[int], None]) -> None:
    """Run the child to its end; it ends as well when this process is stopped."""
    log = folder / LOG
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with log.open("wb") as errors:
        try:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
        except OSError as error:
            raise ModelError(f"The toolkit for training cannot be started ({error.strerror}).") from None
        with child:
            try:
                for line in child.stdout or ():
                    _take(line, state, advance)
            finally:
                if child.poll() is None and sys.exc_info()[0] is not None:
                    child.kill()
    if child.returncode:
        raise ModelError(state.last.error or _reason(child.returncode, log))


def _take(line: bytes, state: _State, advance: Callable[[int], None]) -> None:
    try:
        found = msgspec.json.decode(line, type=Progress)
    except msgspec.MsgspecError:  # native code writes to stdout as it likes
        return
    before, state.last = state.last.done, found
    advance(max(0, found.done - before))


def _reason(returncode: int, log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").strip().splitlines()]
    # Keras puts details behind the line that names the error.
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception): (?!in user code)", line)]
    last = (named or lines or [f"it ended with status {returncode}"])[-1][:300]
    hint = " Install edgeproof[qat]." if "No module named" in last else ""
    return f"The toolkit for training failed ({last}).{hint}"
