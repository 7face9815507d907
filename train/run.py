"""The run folder: what a training leaves, and where in it."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeproof.runtime import labels as label_files
from edgeproof.runtime import testset
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.atomic import remove_stale, replacing, write_bytes, write_text
from edgeproof.runtime.contract import digest, sha256
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train import config as settings


@dataclass(frozen=True)
class Run:
    """Paths in a run folder, and the reading and writing of its files, each whole or absent."""

    folder: Path

    @property
    def config(self) -> Path:
        """The settings of the training, complete."""
        return self.folder / "config.toml"

    @property
    def model(self) -> Path:
        """The trained Keras model: raw pixels 0–255 in, probabilities out."""
        return self.folder / "model.keras"

    @property
    def labels(self) -> Path:
        """Class names, one a line."""
        return self.folder / "labels.txt"

    @property
    def history(self) -> Path:
        """Loss and accuracy of every epoch of both phases."""
        return self.folder / "history.csv"

    @property
    def metrics(self) -> Path:
        """The evaluation on the test set. Written last: a folder that has one is complete."""
        return self.folder / "metrics.json"

    @property
    def test(self) -> Path:
        """The test pictures as stored pixels, so that a run can be verified without its data set."""
        return self.folder / testset.NAME

    @property
    def predictions(self) -> Path:
        """Keras' outputs on the test set: the reference that every export is held against."""
        return self.folder / "predictions.npz"

    @property
    def plots(self) -> Path:
        """The folder of pictures for people."""
        return self.folder / "plots"

    @property
    def checkpoints(self) -> Path:
        """What a killed training resumes from."""
        return self.folder / "checkpoints"

    @property
    def cache(self) -> Path:
        """What is computed from the pictures again when it is not there; removed at the end."""
        return self.folder / "cache"

    @property
    def logs(self) -> Path:
        """Loss and accuracy of every epoch, for TensorBoard."""
        return self.folder / "logs"

    @property
    def is_complete(self) -> bool:
        """Whether the training came to its end."""
        return self.metrics.is_file()

    def clear(self) -> None:
        """Remove what would pass for the work of the next training: the metrics, checkpoints, logs and exports."""
        self.metrics.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.cache, self.logs, self.folder / "export"):
            shutil.rmtree(folder, ignore_errors=True)

    def clean(self) -> None:
        """Remove what no process needs: caches, temporary files of killed ones, and a complete run's checkpoints."""
        remove_stale(self.folder)
        shutil.rmtree(self.cache, ignore_errors=True)
        if self.is_complete:
            shutil.rmtree(self.checkpoints, ignore_errors=True)

    def read_config(self) -> settings.Config:
        """The settings that the run was made with. Raises `ConfigError`."""
        return settings.load(self.config)

    def read_labels(self) -> tuple[str, ...]:
        """The class names. Raises `DataError`."""
        return label_files.read(self.labels)

    def write_pictures(self, test: LabelledPictures) -> None:
        """Write test.npz, and test.csv (path, label, sha256 of the stored pixels) for people."""
        rows = [
            (name, test.labels[number], hash_)
            for name, number, hash_ in zip(test.names, test.classes, test.hashes, strict=True)
        ]
        write_text(self.folder / "test.csv", table(("path", "label", "sha256"), rows))
        testset.write(self.test, test)

    def read_pictures(self) -> LabelledPictures:
        """The test pictures of the run. Raises `DataError`."""
        return testset.read(self.test)

    def write_predictions(self, probabilities: Probabilities, test: LabelledPictures) -> None:
        """Write the reference, tied by hashes to the model and the pictures that it came from."""
        keys = np.array([sha256(self.model.read_bytes()), digest(test.hashes)])
        with replacing(self.predictions) as temporary:
            np.savez_compressed(temporary, probabilities=probabilities, keys=keys)

    def read_predictions(self, test: LabelledPictures) -> Probabilities | None:
        """The reference of shape (images, classes); None when it is damaged, or of another model or other pictures."""
        try:
            # From memory: np.load leaves a file that is no archive open.
            content = io.BytesIO(self.predictions.read_bytes())
            with np.load(content, allow_pickle=False) as arrays:
                keys = [sha256(self.model.read_bytes()), digest(test.hashes)]
                return arrays["probabilities"] if arrays["keys"].tolist() == keys else None
        except (OSError, ValueError, TypeError, KeyError, EOFError, zlib.error, zipfile.BadZipFile):
            return None


def open_complete(folder: str | Path) -> Run:
    """A run folder whose training came to its end. Raises `DataError` for anything else."""
    run = Run(Path(folder))
    if run.is_complete:
        return run
    found = "an unfinished training" if run.config.is_file() else "no training" if run.folder.is_dir() else "no folder"
    raise DataError(f"{folder}: {found} there (no metrics.json). Run `edgeproof train --out {folder}` first.")


def write_json(path: Path, content: Any) -> None:
    """Write anything that msgspec can encode as indented JSON."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """Rows as CSV text with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
