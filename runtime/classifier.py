"""`Classifier`: a model file in, labels with probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from edgeproof.runtime import modelfile
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pixels import Picture, Pixels, Preprocessing, Resize
from edgeproof.runtime.untrusted import UntrustedRunner


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer. `probability` is 0 to 1 when the model ends in a softmax, as edgeproof's do."""

    label: str
    probability: float
    class_index: int


class Classifier:
    """A model file, ready to label pictures. Needs no TensorFlow.

    Files made by edgeproof bring labels and preprocessing along. For another tool's file, give `labels`
    where it carries none, and `input_range` (what the bytes 0 and 255 become) for a float input;
    `assumptions` says what was taken for granted. `untrusted` loads and runs the model in a process of its own, with
    limits of memory and time (a context manager ends it). Large JPEGs are decoded at reduced scale unless `exact`.
    Raises `ModelError` for a file that is damaged, or that
    lacks what is not given.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        labels: Sequence[str] | None = None,
        input_range: tuple[float, float] | None = None,
        num_threads: int = 1,
        exact: bool = False,
        untrusted: bool = False,
    ) -> None:
        self.file = modelfile.read(path, labels=labels)
        self.exact = exact
        self.assumptions: tuple[str, ...] = ()
        load = UntrustedRunner if untrusted else Runner
        if self.file.contract is None:
            if self.file.labels is None:
                raise ModelError(f"{path} holds no edgeproof contract and no labels: truncated? Give --labels.")
            self._runner = load(self.file.flatbuffer, num_threads=num_threads, input_range=input_range)
            self.preprocessing = self._taken_for_granted(input_range)
        else:
            if input_range is not None:
                raise ModelError(f"{path} carries its own preprocessing. Leave --input-range away.")
            self._runner = load(self.file.flatbuffer, num_threads=num_threads)
            self.preprocessing = self.file.contract.preprocessing
        found = self.file.labels
        if found is None:
            raise ModelError(f"{path} holds no edgeproof contract and no labels: truncated? Give --labels.")
        classes = self._runner.output.shape[-1]
        if len(found) != classes:
            raise ModelError(f"{path} has {classes} outputs, but there are {len(found)} labels. Give the right labels.")
        if self.preprocessing.input_size != self._runner.input.shape[1:3]:
            raise ModelError(
                f"{path} takes {self._runner.input.shape[1:3]} pixels, but its contract says "
                f"{self.preprocessing.input_size}. Export the model again."
            )
        self.labels = found

    def classify(self, picture: Picture, *, top: int = 5) -> tuple[Prediction, ...]:
        """The `top` most probable labels of a picture, best first. Raises `DataError` for no picture."""
        return self.best(self.probabilities(self.preprocessing.pixels(picture)[np.newaxis])[0], top=top)

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (n, height, width, 3), at the model's size, to shape (n, classes)."""
        return self._runner.probabilities(pixels)

    def best(self, probabilities: Probabilities, *, top: int = 5) -> tuple[Prediction, ...]:
        """The `top` labels of one row of probabilities, best first; of equal ones the lower class first."""
        if top < 1:
            raise ValueError(f"Expected top >= 1, got {top}.")
        order = np.argsort(-probabilities, kind="stable")[:top]
        return tuple(Prediction(self.labels[i], float(probabilities[i]), int(i)) for i in order)

    def close(self) -> None:
        """End the process of an untrusted model; nothing of it is left behind in any other case."""
        if isinstance(self._runner, UntrustedRunner):
            self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _taken_for_granted(self, input_range: tuple[float, float] | None) -> Preprocessing:
        """How a file without a contract is run by convention, which is said."""
        taken = self._runner.input
        if taken.dtype not in ("uint8", "int8") and input_range is None:
            kind = "floats" if taken.dtype == "float32" else taken.dtype
            self.close()
            raise ModelError(
                f"{self.file.path} takes {kind} of an unknown range. Give --input-range, such as -1,1 or 0,1."
            )
        height, width = taken.shape[1:3]
        span = f"bytes 0 to 255 stand for {input_range[0]:g} to {input_range[1]:g}" if input_range else ""
        self.assumptions = (
            "channels in the order RGB",
            f"pictures stretched to {width}×{height} with a bilinear filter",
            span or "the bytes go in as they are",
            "labels in the order of the outputs",
        )
        return Preprocessing(steps=(Resize(width=width, height=height),))
