"""`Classifier`: a model file in, labels with probabilities out."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from edgeproof.runtime import modelfile
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import TensorFormat
from edgeproof.runtime.errors import DataError, ModelError
from edgeproof.runtime.interpreter import BATCH, Loading, Runner
from edgeproof.runtime.pixels import Picture, Pixels, Preprocessing, Resize
from edgeproof.runtime.pool import Pool, usable_cores
from edgeproof.runtime.streaming import ordered

if TYPE_CHECKING:
    from edgeproof.runtime.untrusted import UntrustedRunner


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer. `probability` is 0 to 1 when the model ends in a softmax, as edgeproof's do."""

    label: str
    probability: float
    class_index: int


@dataclass(frozen=True, slots=True)
class Result:
    """A picture of many with its predictions, best first; or with none, and the reason in `error`."""

    picture: Picture
    predictions: tuple[Prediction, ...]
    error: str = ""


class Classifier:
    """A model file, ready to label pictures, from any number of threads. Needs no TensorFlow.

    Files made by edgeproof bring labels and preprocessing along. For another tool's file, give `labels`
    where it carries none, and `input_range` (what the bytes 0 and 255 become) for a float input;
    `assumptions` says what was taken for granted. `untrusted` loads and runs the model in a process of its own, with
    limits of memory and time (a context manager ends it). Large JPEGs are decoded at reduced scale unless `exact`.
    `loading` says how long LiteRT took to load. Raises `ModelError` for a file that is damaged, or that lacks what is
    not given.
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
        contract, found = self.file.contract, self.file.labels
        if found is None:
            raise ModelError(f"{path} holds no edgeproof contract and no labels: truncated? Give --labels.")
        if contract is not None and input_range is not None:
            raise ModelError(f"{path} carries its own preprocessing. Leave --input-range away.")
        span = (0.0, 255.0) if contract is not None else input_range

        # Without a way back to this object, so that its interpreters go when it goes.
        load = partial(_runner, self.file.flatbuffer, num_threads, span, untrusted=untrusted)
        first = load()
        self.loading: Loading | None = first.loading if isinstance(first, Runner) else None
        limit = 1 if untrusted else max(1, usable_cores() // num_threads)
        self._runners = Pool(first, load, limit=limit)
        self.labels = found
        self.preprocessing = (
            contract.preprocessing if contract is not None else self._taken_for_granted(first.input, input_range)
        )
        self._check(first.input.shape[1:3], first.output.shape[-1])

    def classify(self, picture: Picture, *, top: int = 5) -> tuple[Prediction, ...]:
        """The `top` most probable labels of a picture, best first. Raises `DataError` for no picture."""
        return self.best(self.probabilities(self._pixels(picture)[np.newaxis])[0], top=top)

    def classify_many(
        self, pictures: Iterable[Picture], *, top: int = 5, workers: int | None = None
    ) -> Iterator[Result]:
        """Label pictures on several threads (one a core unless `workers` is given), in their order.

        The first result comes at once, memory stays the same for any number of pictures, and a bad one becomes a
        result with an error. Pictures are taken from the source in a thread of their own, as they are needed.
        """
        return ordered(lambda part: self._results(part, top), pictures, workers=workers or usable_cores(), chunk=BATCH)

    async def stream(
        self, pictures: Iterable[Picture] | AsyncIterable[Picture], *, top: int = 5
    ) -> AsyncIterator[Result]:
        """Label pictures as they come, in their order, while the event loop goes on."""
        from asyncio import to_thread

        if isinstance(pictures, AsyncIterable):
            async for picture in pictures:
                yield (await to_thread(self._results, (picture,), top))[0]
            return
        found = self.classify_many(pictures, top=top)
        while (result := await to_thread(next, found, None)) is not None:
            yield result

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (n, height, width, 3), at the model's size, to shape (n, classes), float32.

        The result is a copy. Calls from several threads run side by side, and give what they give one by one.
        """
        return self._runners.probabilities(pixels)

    def best(self, probabilities: Probabilities, *, top: int = 5) -> tuple[Prediction, ...]:
        """The `top` labels of one row of probabilities, best first; of equal ones the lower class first."""
        if top < 1:
            raise ValueError(f"Expected top >= 1, got {top}.")
        order = np.argsort(-probabilities, kind="stable")[:top]
        return tuple(Prediction(self.labels[i], float(probabilities[i]), int(i)) for i in order)

    def close(self) -> None:
        """End the process of an untrusted model; nothing is left behind in any other case."""
        for runner in self._runners.all:
            runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pixels(self, picture: Picture) -> Pixels:
        return self.preprocessing.pixels(picture, exact=self.exact)

    def _results(self, pictures: Sequence[Picture], top: int) -> list[Result]:
        """The results of some pictures, which go through the model together."""
        pixels: list[Pixels] = []
        errors: list[str] = []
        for picture in pictures:
            try:
                pixels.append(self._pixels(picture))
                errors.append("")
            except DataError as error:
                errors.append(str(error))
        rows = iter(self.probabilities(np.stack(pixels)) if pixels else ())
        return [
            Result(picture, () if error else self.best(next(rows), top=top), error)
            for picture, error in zip(pictures, errors, strict=True)
        ]

    def _check(self, size: tuple[int, ...], classes: int) -> None:
        """Hold labels and preprocessing against the graph."""
        path = self.file.path
        if len(self.labels) == classes and self.preprocessing.input_size == size:
            return
        self.close()
        if len(self.labels) != classes:
            raise ModelError(
                f"{path} has {classes} outputs, but there are {len(self.labels)} labels. Give the right labels."
            )
        raise ModelError(
            f"{path} takes {size} pixels, but its contract says {self.preprocessing.input_size}. "
            "Export the model again."
        )

    def _taken_for_granted(self, taken: TensorFormat, input_range: tuple[float, float] | None) -> Preprocessing:
        """How a file without a contract is run by convention, which is said."""
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


def _runner(
    flatbuffer: bytes, num_threads: int, input_range: tuple[float, float] | None, *, untrusted: bool
) -> Runner | UntrustedRunner:
    if not untrusted:
        return Runner(flatbuffer, num_threads=num_threads, input_range=input_range)
    from edgeproof.runtime.untrusted import UntrustedRunner

    return UntrustedRunner(flatbuffer, num_threads=num_threads, input_range=input_range)
