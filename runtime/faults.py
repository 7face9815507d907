"""Ten and more ways in which an application gets a model's pictures or answers wrong, as wrong pipelines.

Each fault exchanges one stage of a pipeline. Run on pictures whose right answers are known, a fault that gives the
answers that an application gave is what that application does.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import TensorFormat
from edgeproof.runtime.decoding import open_rgb
from edgeproof.runtime.pipeline import Pipeline
from edgeproof.runtime.pixels import Pixels, Resize


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake with its name. `spoil` gives the pipeline that makes it, or None where a file rules it out."""

    id: str
    sentence: str
    remedy: str
    spoil: Callable[[Pipeline], Pipeline | None]


def _bgr(right: Pipeline) -> Pipeline:
    return replace(right, enter=lambda pixels: right.enter(pixels[..., ::-1]))


def _planes_first(right: Pipeline) -> Pipeline:
    def enter(pixels: Pixels) -> NDArray[Any]:
        return right.enter(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).reshape(pixels.shape))

    return replace(right, enter=enter)


def _scaled(low: float, high: float) -> Callable[[Pipeline], Pipeline]:
    """The bytes 0 and 255 become `low` and `high` before the file's own scaling."""

    def spoil(right: Pipeline) -> Pipeline:
        def enter(pixels: Pixels) -> NDArray[Any]:
            return _as_input(low + pixels.astype(np.float32) * np.float32((high - low) / 255), right)

        return replace(right, enter=enter)

    return spoil


def _without_zero_point(right: Pipeline) -> Pipeline | None:
    if not right.input.zero_point and not right.output.zero_point:
        return None

    def enter(pixels: Pixels) -> NDArray[Any]:
        if not right.input.zero_point:
            return right.enter(pixels)
        limits = np.iinfo(right.input.dtype)
        values = right.enter(pixels).astype(np.int32) - right.input.zero_point
        return np.clip(values, limits.min, limits.max).astype(right.input.dtype)

    def leave(raw: NDArray[Any]) -> Probabilities:
        if not right.output.zero_point:
            return right.leave(raw)
        return raw.astype(np.float32) * np.float32(right.output.scale)

    return replace(right, enter=enter, leave=leave)


def _softmax_twice(right: Pipeline) -> Pipeline:
    def leave(raw: NDArray[Any]) -> Probabilities:
        raised = np.exp(right.leave(raw))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)

    return replace(right, leave=leave)


def _resized(change: Callable[[tuple[Resize, ...]], tuple[Resize, ...]]) -> Callable[[Pipeline], Pipeline | None]:
    """Another resize chain; none where the change leaves it as it is."""

    def spoil(right: Pipeline) -> Pipeline | None:
        steps = change(right.preprocessing.steps)
        if steps == right.preprocessing.steps:
            return None
        return replace(right, preprocessing=structs.replace(right.preprocessing, steps=steps))

    return spoil


def _nearest(steps: tuple[Resize, ...]) -> tuple[Resize, ...]:
    return tuple(structs.replace(step, resample="nearest") for step in steps)


def _other_fit(steps: tuple[Resize, ...]) -> tuple[Resize, ...]:
    return tuple(structs.replace(step, fit="crop" if step.fit == "stretch" else "stretch") for step in steps)


def _without_orientation(right: Pipeline) -> Pipeline:
    def decode(picture: bytes) -> Image.Image:
        with Image.open(io.BytesIO(picture)) as opened:
            # A copy of the pixels alone: the orientation stays behind.
            plain = Image.frombytes(opened.mode, opened.size, opened.tobytes())
        return open_rgb(plain, right.preprocessing.background)

    return replace(right, decode=decode)


def _with_hidden_colours(right: Pipeline) -> Pipeline:
    def decode(picture: bytes) -> Image.Image:
        with Image.open(io.BytesIO(picture)) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")

    return replace(right, decode=decode)


def _as_input(values: NDArray[np.float32], right: Pipeline) -> NDArray[Any]:
    """Real values as the input tensor holds them."""
    taken: TensorFormat = right.input
    if taken.dtype == "float32":
        return values
    limits = np.iinfo(taken.dtype)
    quantised = np.rint(values / np.float32(taken.scale or 1)) + (taken.zero_point or 0)
    return np.asarray(np.clip(quantised, limits.min, limits.max), taken.dtype)


# Of 127.5 and 128 as the middle of the bytes: the fault that is hardest to see.
_HALF = _scaled(0.0, 255 * 127.5 / 128)

FAULTS = (
    Fault("bgr", "The channels go in as blue, green, red.", "Convert the picture to RGB first.", _bgr),
    Fault(
        "scaled-twice",
        "Pixels are divided by 255 before the file does its own scaling.",
        "Give the bytes 0 to 255 as they are.",
        _scaled(0.0, 1.0),
    ),
    Fault(
        "normalised-twice",
        "Pixels are brought to -1…1 before the file does its own scaling.",
        "Give the bytes 0 to 255 as they are.",
        _scaled(-1.0, 1.0),
    ),
    Fault("128-for-127.5", "Pixels are scaled by 128 where 127.5 is meant.", "Scale by 127.5, or not at all.", _HALF),
    Fault(
        "nearest",
        "Pictures are resized by the nearest pixel.",
        "Resize as the contract's steps say, with its filter.",
        _resized(_nearest),
    ),
    Fault(
        "one-step",
        "Pictures are resized straight to the input, past the contract's first step.",
        "Resize in the contract's steps.",
        _resized(lambda steps: steps[-1:]),
    ),
    Fault(
        "fit",
        "Pictures are cropped where the contract stretches them, or the other way round.",
        "Fit them as the contract's steps say.",
        _resized(_other_fit),
    ),
    Fault(
        "zero-point",
        "The zero point of an integer tensor is left out.",
        "real = scale · (integer - zero point), for the input and the output.",
        _without_zero_point,
    ),
    Fault(
        "nchw",
        "Pixels go in by channels (NCHW) where the file takes them by places (NHWC).",
        "Give an array of shape (1, height, width, 3).",
        _planes_first,
    ),
    Fault(
        "alpha",
        "Transparent pixels show the colours hidden under them.",
        "Lay pictures on the contract's background first.",
        _with_hidden_colours,
    ),
    Fault(
        "exif",
        "The EXIF orientation of pictures is ignored.",
        "Turn pictures upright first.",
        _without_orientation,
    ),
    Fault(
        "softmax-twice",
        "A softmax is put on outputs that are probabilities already.",
        "Take the outputs as they are.",
        _softmax_twice,
    ),
)
