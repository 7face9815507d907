"""What `edgeproof verify` and `edgeproof evaluate` start from: a run, a Keras model or a file, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproof import options, session, show
from edgeproof.runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeproof.convert.gates import Gates
    from edgeproof.convert.verification import Evidence, Summary
    from edgeproof.runtime.classifier import Classifier
    from edgeproof.runtime.evaluation import Evaluation
    from edgeproof.runtime.foreign import Foreign
    from edgeproof.runtime.pixels import Preprocessing

RAW = "0,255"


@dataclass(frozen=True, slots=True)
class Reference:
    """A run folder, or a `.keras` or `.h5` model with its labels and what it takes for the bytes 0 and 255."""

    path: Path
    data: str | None
    labels: Path | None
    input_range: str

    def __post_init__(self) -> None:
        if self.path.is_dir() and self.input_range != RAW:
            raise ConfigError("a range is for a .keras or .h5 model: a run's own takes 0 to 255.")
        if self.path.is_file() and (self.labels is None or self.data is None):
            raise ConfigError(f"{self.path.name} needs --labels FILE.txt and --data PATH as well.")

    def evidence(self, file: Classifier | None = None) -> Evidence:
        """The pictures and the answers of this; a `file` says how pictures are prepared, or at least its size."""
        from edgeproof.convert import references
        from edgeproof.runtime import labels as label_files

        if self.path.is_dir() or not self.path.exists() or self.labels is None or self.data is None:
            return references.of_run(self.path, data=self.data)
        return references.of_model(
            self.path,
            labels=label_files.read(self.labels),
            data=self.data,
            preprocessing=_preprocessing(file, self.data),
            input_range=options.span(self.input_range, "--reference-range"),
        )


def gates(max_drop: float, min_agreement: float | None, significance: float | None, doubt: str) -> Gates:
    """The gates as given. Raises `ConfigError`."""
    from edgeproof.convert.gates import Gates

    if doubt not in ("fail", "pass"):
        raise ConfigError(f"--doubt {doubt}: expected fail or pass.")
    share = None if min_agreement is None else min_agreement / 100
    if share is not None and not 0 <= share <= 1:
        raise ConfigError(f"--min-agreement {min_agreement:g}: expected a percentage from 0 to 100.")
    if significance is not None and not 0 < significance < 1:
        raise ConfigError(f"--significance {significance:g}: expected a chance between 0 and 1, such as 0.05.")
    return Gates(
        max_drop=max_drop,
        min_agreement=share,
        significance=significance,
        doubt="pass" if doubt == "pass" else "fail",
    )


def verify(
    models: list[Path], reference: Reference, limits: Gates, *, labels: Path | None, input_range: str | None
) -> Summary:
    """Hold files against a reference."""
    from edgeproof.convert import verification
    from edgeproof.runtime.foreign import opened

    foreign = options.foreign(labels, input_range)
    first = opened(models[0], foreign, num_threads=1)
    evidence = reference.evidence(first)
    return verification.verify(models, evidence, limits, foreign=foreign)


def evaluate(model: Path, data: str | None, *, labels: Path | None, input_range: str | None) -> Evaluation:
    """Judge a `.tflite` file, which needs no TensorFlow, a run or a Keras model. Raises `ConfigError`."""
    from edgeproof.runtime import evaluation

    if model.suffix == ".tflite":
        if data is None:
            raise ConfigError(f"{model.name} needs --data PATH: a folder, a zip or a run with test pictures.")
        return _evaluate_file(model, data, options.foreign(labels, input_range))
    with session.extra("train"):
        evidence = Reference(model, data, labels, input_range or RAW).evidence()
    return evaluation.evaluate(evidence.outputs, evidence.test, model=model.name)


def _evaluate_file(model: Path, data: str, foreign: Foreign) -> Evaluation:
    from edgeproof.runtime import evaluation, testset
    from edgeproof.runtime.foreign import opened

    first = opened(model, foreign, num_threads=1)
    session.note(show.assumptions(first))
    pictures = testset.load(data, first.preprocessing, first.labels)
    return evaluation.evaluate_file(model, pictures, foreign=foreign)


def _preprocessing(file: Classifier | None, data: str) -> Preprocessing | None:
    """That of a file's contract; for another tool's file, by the pictures' size and its own."""
    from edgeproof.convert import references

    if file is None or file.file.contract is not None:
        return file.preprocessing if file is not None else None
    return references.preprocessing_of(data, file.preprocessing.input_size[0])
