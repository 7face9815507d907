"""Which pictures a command line means, and their labels as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeproof import models
from edgeproof.runtime import Classifier, ConfigError, DataError, Prediction
from edgeproof.runtime import labels as label_files
from edgeproof.runtime.pixels import SUFFIXES


def split(paths: Sequence[str]) -> tuple[Path, tuple[Path, ...]]:
    """The model (the shipped one where the first path is no .tflite) and the paths of pictures and folders.

    Raises `ConfigError` without pictures, and `DataError` for a path where nothing is.
    """
    given = [Path(path) for path in paths]
    has_model = given[0].suffix == ".tflite"
    model = given.pop(0) if has_model else models.path(models.CLASSIFIER)
    if not given:
        raise ConfigError(f"classify {model}: no pictures were given. Add the path of a picture or a folder.")
    for path in given:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder. Give the path of a picture or of a folder of pictures.")
        if path.is_dir() and next(_pictures(path), None) is None:
            raise DataError(f"{path}: no pictures in this folder. Expected files such as .png or .jpg.")
    return model, tuple(given)


def open_classifier(
    model: Path, labels: Path | None, input_range: tuple[float, float] | None, threads: int
) -> Classifier:
    """Open a model with what the command line says of it. Raises `ModelError` or `DataError`."""
    names = label_files.read(labels) if labels is not None else None
    return Classifier(model, labels=names, input_range=input_range, num_threads=threads)


def classify(
    classifier: Classifier, paths: Sequence[Path], *, top: int
) -> Iterator[tuple[str, tuple[Prediction, ...] | str]]:
    """Each picture's name with its predictions, or with the reason why there are none."""
    for path in paths:
        for picture in _pictures(path) if path.is_dir() else (path,):
            try:
                yield str(picture), classifier.classify(picture, top=top)
            except DataError as error:
                yield str(picture), str(error).removeprefix(f"{picture}: ")


def _pictures(folder: Path) -> Iterator[Path]:
    """The visible pictures below a folder, in the order of their names."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _pictures(path)
        elif path.suffix.lower() in SUFFIXES:
            yield path
