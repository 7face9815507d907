"""From a picture's bytes to probabilities in four stages, each of which can be exchanged for a wrong one."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import TensorFormat
from edgeproof.runtime.decoding import open_rgb
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pixels import Pixels, Preprocessing


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What an application does with a model: `decode` a file to upright RGB, `resize` by the steps of the contract,
    `enter` pixels into the input tensor, and let probabilities `leave` the output tensor.
    """

    runner: Runner
    preprocessing: Preprocessing
    decode: Callable[[bytes], Image.Image]
    enter: Callable[[Pixels], NDArray[Any]]
    leave: Callable[[NDArray[Any]], Probabilities]

    @property
    def input(self) -> TensorFormat:
        """The input tensor."""
        return self.runner.input

    @property
    def output(self) -> TensorFormat:
        """The output tensor."""
        return self.runner.output

    def pixels(self, picture: bytes) -> Pixels:
        """A picture file as the model's pixels, shape (height, width, 3), uint8. Raises `DataError`."""
        return self.preprocessing.pixels(np.asarray(self.decode(picture)))

    def outputs(self, pictures: Sequence[bytes]) -> Probabilities:
        """Map picture files to outputs of shape (pictures, classes)."""
        return self.answers(np.stack([self.pixels(picture) for picture in pictures]))

    def answers(self, pixels: Pixels) -> Probabilities:
        """Map pixels of shape (n, height, width, 3) to outputs of shape (n, classes)."""
        return np.concatenate([self.leave(self.runner.raw(self.enter(one[np.newaxis]))) for one in pixels])


def shipped(runner: Runner, preprocessing: Preprocessing) -> Pipeline:
    """The pipeline as it is meant: what `Classifier` does."""
    return Pipeline(
        runner=runner,
        preprocessing=preprocessing,
        decode=lambda picture: open_rgb(io.BytesIO(picture), preprocessing.background),
        enter=runner.enter,
        leave=runner.leave,
    )
