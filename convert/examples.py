"""Chooses golden examples: pictures whose answers move far when an application errs, and little between kernels."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeproof.convert import drawing
from edgeproof.runtime import golden as goldens
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import Golden, GoldenExample, sha256
from edgeproof.runtime.errors import ConfigError
from edgeproof.runtime.faults import FAULTS
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pipeline import Pipeline, shipped
from edgeproof.runtime.pixels import Preprocessing
from edgeproof.runtime.replay import FLOOR, answers, distance

BUDGET_BYTES = 300_000
# The most pictures that are looked at before some are chosen, and the largest sides that they are stored with.
CANDIDATES, SIDES = 256, (128, 96, 64, 48, 32)
Encoder = Callable[[Image.Image], bytes]
Source = Literal["test", "drawn", "none"]
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True)
class Kind:
    """What some of the pictures try: how many there are, how they are stored, and the fault they are to reveal."""

    shows: str
    count: int
    suffix: str
    encode: Encoder
    reveals: str


def source(text: str) -> Source:
    """Where golden pictures come from, as a user says it. Raises `ConfigError`."""
    found = next((each for each in SOURCES if each == text), None)
    if found is None:
        raise ConfigError(f"--golden {text}: one of {', '.join(SOURCES)} is expected.")
    return found


def choose(flatbuffer: bytes, test: LabelledPictures, source: Source = "test") -> tuple[Golden, dict[str, bytes]]:
    """Choose sixteen test pictures for a file, or drawn ones in their place; and the files to append for them.

    Ten are plain, two are turned by EXIF, two are transparent, two have another size and shape. All together take at
    most `BUDGET_BYTES`. The choice depends on the arguments alone.
    """
    preprocessing, labels = test.preprocessing, test.labels
    drawn = source == "drawn"
    stored = drawing.pictures(CANDIDATES, preprocessing.stored_size, seed=0) if drawn else test.stored
    right = shipped(Runner(flatbuffer), preprocessing)
    other = shipped(Runner(flatbuffer, kernels="builtin"), preprocessing)
    spread = np.unique(np.linspace(0, len(stored) - 1, min(len(stored), CANDIDATES)).astype(np.int64))
    ranked = _unsure_first(right.runner.probabilities(preprocessing.finished(stored[spread])))
    images = [Image.fromarray(stored[spread[number]]) for number in ranked]
    kinds = _kinds(images, preprocessing, room=BUDGET_BYTES - 16 * (12 * len(labels) + 400))
    pictures: list[tuple[Kind, bytes]] = []
    start = 0
    for kind in kinds:
        # Each kind takes other pictures, four to choose one from.
        pool = [kind.encode(images[number % len(images)]) for number in range(start, start + 4 * kind.count)]
        pictures += [(kind, picture) for picture in _best(right, other, pool, kind)]
        start += 4 * kind.count
    return _described(right, other, pictures, labels)


def _described(
    right: Pipeline, other: Pipeline, pictures: Sequence[tuple[Kind, bytes]], labels: Sequence[str]
) -> tuple[Golden, dict[str, bytes]]:
    files = {f"{goldens.FOLDER}/{i:02}.{kind.suffix}": picture for i, (kind, picture) in enumerate(pictures)}
    stored = tuple(files.values())
    outputs = right.outputs(stored)
    examples = tuple(
        GoldenExample(
            picture=name,
            sha256=sha256(picture),
            pixels_sha256=sha256(right.pixels(picture).tobytes()),
            label=labels[int(row.argmax())],
            shows=kind.shows,
        )
        for (name, picture), (kind, _), row in zip(files.items(), pictures, outputs, strict=True)
    )
    table = goldens.text([name.removeprefix(f"{goldens.FOLDER}/") for name in files], outputs, labels).encode()
    golden = Golden(
        examples=examples,
        expected=goldens.EXPECTED,
        expected_sha256=sha256(table),
        tolerance=_rounded(max(FLOOR, 2 * distance(other.outputs(stored), outputs))),
        reveals=_revealed(right, stored, outputs),
    )
    return golden, {**files, goldens.EXPECTED: table}


def _revealed(right: Pipeline, pictures: tuple[bytes, ...], outputs: Probabilities) -> dict[str, float]:
    """How far each fault that the file does not rule out moves the answers."""
    wrong = {fault.id: answers(right, fault, pictures) for fault in FAULTS}
    return {name: _rounded(distance(found, outputs)) for name, found in wrong.items() if found is not None}


def _best(right: Pipeline, other: Pipeline, pool: Sequence[bytes], kind: Kind) -> list[bytes]:
    """The pictures of a pool that show a kind's fault best beside what kernels differ by, of several answers."""
    outputs, spoiled = right.outputs(pool), _spoiled(right, kind.reveals).outputs(pool)
    moved, noise = _apart(spoiled, outputs), _apart(other.outputs(pool), outputs)
    best = np.argsort(-moved / (noise + FLOOR), kind="stable")
    chosen: list[int] = []
    taken: set[int] = set()
    for number in best:
        if int(outputs[number].argmax()) not in taken:
            chosen.append(int(number))
            taken.add(int(outputs[number].argmax()))
    chosen += [int(number) for number in best if int(number) not in chosen]
    return [pool[number] for number in chosen[: kind.count]]


def _spoiled(right: Pipeline, fault: str) -> Pipeline:
    spoil = {each.id: each.spoil for each in FAULTS}[fault]
    return spoil(right) or right


def _apart(one: Probabilities, other: Probabilities) -> NDArray[np.float64]:
    """The total variation distance of each pair of rows."""
    return np.asarray(np.abs(one.astype(np.float64) - other).sum(axis=1) / 2, np.float64)


def _unsure_first(outputs: Probabilities) -> list[int]:
    """Numbers of pictures, those with a clear but not a saturated answer first, each class in its turn.

    An answer near certainty moves with nothing, and one near a tie with everything.
    """
    first, second = np.sort(outputs, axis=1)[:, ::-1][:, :2].T
    oddness = np.abs((first - second) - 0.5)
    seen: Mapping[int, int] = {}
    turns = []
    for number in np.argsort(oddness, kind="stable"):
        answer = int(outputs[number].argmax())
        seen = {**seen, answer: seen.get(answer, 0) + 1}
        turns.append((seen[answer], int(number)))
    return [number for _, number in sorted(turns, key=lambda turn: turn[0])]


def _kinds(images: Sequence[Image.Image], preprocessing: Preprocessing, *, room: int) -> tuple[Kind, ...]:
    """The kinds, with pictures as large as there is room for."""
    stored = max(preprocessing.stored_size)
    sides = [side for side in SIDES if side < stored]
    kinds: tuple[Kind, ...] = ()
    for side in (stored, *sides):
        kinds = (
            Kind("plain", 10, "png", _plain(side), "128-for-127.5"),
            Kind("exif", 2, "jpg", _turned(side), "exif"),
            Kind("alpha", 2, "png", _transparent(side), "alpha"),
            Kind("size", 2, "png", _reshaped(80 if stored <= 64 else 112), "fit"),
        )
        sample = images[:8]
        if sum(kind.count * max(len(kind.encode(image)) for image in sample) for kind in kinds) <= room:
            break
    return kinds


def _sized(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()


def _plain(side: int) -> Encoder:
    return lambda image: _png(_sized(image, side))


def _turned(side: int) -> Encoder:
    """A JPEG that lies on its side, with the orientation that turns it upright."""

    def encode(image: Image.Image) -> bytes:
        exif, content = Image.Exif(), io.BytesIO()
        exif[0x0112] = 6
        lying = _sized(image, side).transpose(Image.Transpose.ROTATE_90)
        lying.save(content, "JPEG", quality=95, subsampling=0, exif=exif)
        return content.getvalue()

    return encode


def _transparent(side: int) -> Encoder:
    """The picture in an ellipse; under the transparent rest lie its opposite colours."""

    def encode(image: Image.Image) -> bytes:
        pixels = np.asarray(_sized(image, side))
        rows, columns = (np.linspace(-1, 1, length) for length in pixels.shape[:2])
        inside = (rows[:, np.newaxis] ** 2 + columns**2 < 0.8)[..., np.newaxis]
        shown = np.where(inside, pixels, 255 - pixels).astype(np.uint8)
        alpha = np.where(inside, 255, 0).astype(np.uint8)
        return _png(Image.fromarray(np.concatenate([shown, alpha], axis=2)))

    return encode


def _reshaped(width: int) -> Encoder:
    """The picture in another size and shape, with a fine grid on it that a filter averages and a nearest pixel hits."""

    def encode(image: Image.Image) -> bytes:
        height = math.ceil(width * 0.7)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
        grid = 24 * (1 - 2 * (np.indices((height, width)).sum(axis=0) % 2))[..., np.newaxis]
        return _png(Image.fromarray((pixels + grid).clip(0, 255).astype(np.uint8)))

    return encode


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
