"""Compares JPEGs decoded at reduced scale with the same decoded in full: answers, pixels and time.

    python benchmarks/peers/reduced_decoding.py [--count 200] [--seed 0] [--objects cifar100-test.zip] [PHOTO.jpg …]

Three kinds of JPEGs are labelled with the shipped model, exactly and not: small photos of objects that the model knows,
enlarged and given finer detail; crops of the photos that are named; and drawings with the statistics of photos
(amplitude 1/f, edges that occlude each other, gradients of light), of which no answer is right and most are close to a
tie. Ends with status 1 where fewer than 99.5 % of the answers to the first kind are the same.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeproof.runtime import pixels, progress
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.labelled import Archive
from edgeproof.runtime.pixels import Preprocessing, Resize

MODEL = Path(__file__).parents[2] / "models" / "cifar100-mobilenetv2-035-96-int8.tflite"
SIZE = (4032, 3024)
CHAINS = {
    "32 px": Preprocessing(steps=(Resize(width=32, height=32), Resize(width=96, height=96))),
    "96 px": Preprocessing(steps=(Resize(width=96, height=96),)),
    "224 px, crop": Preprocessing(steps=(Resize(width=224, height=224, fit="crop"),)),
}
WANTED = 0.995
MARGINS = (8, 16, 32)


def drawn(size: tuple[int, int], draw: np.random.Generator) -> Image.Image:
    """A picture with the statistics of a photo: its amplitudes fall as 1/f, over a gradient, cut by shapes."""
    width, height = size
    picture = _noise(size, draw)
    light = (
        np.linspace(0, 1, width)[np.newaxis, :] * draw.normal()
        + np.linspace(0, 1, height)[:, np.newaxis] * draw.normal()
    )
    picture += 40 * light[..., np.newaxis]
    rows, columns = np.mgrid[0:height:4, 0:width:4]
    for _ in range(int(draw.integers(2, 9))):
        # A disc or a half plane of another surface in front of what is there.
        centre, radius = draw.uniform(0, (height, width)), draw.uniform(0.05, 0.4) * min(size)
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        mask = np.kron(inside, np.ones((4, 4), bool))[:height, :width]
        texture = draw.normal(0, 45, 3) + draw.uniform(0, 1) * np.roll(picture, int(radius), 1)
        picture = np.where(mask[..., np.newaxis], texture, picture)
    grain = draw.standard_normal((height, width, 1), np.float32) * draw.uniform(0, 4)
    return Image.fromarray((128 + picture + grain).clip(0, 255).astype(np.uint8))


def _noise(size: tuple[int, int], draw: np.random.Generator) -> NDArray[np.float32]:
    """Three channels that go along with each other, of a standard deviation of 30 to 60; a new part of one field."""
    field = _field(size)
    shifts = [int(draw.integers(0, side)) for side in field.shape[:2]]
    turned = np.roll(field, shifts, (0, 1))[:: draw.choice([-1, 1]), :: draw.choice([-1, 1])]
    return np.float32(draw.uniform(30, 60)) * turned


@functools.cache
def _field(size: tuple[int, int]) -> NDArray[np.float32]:
    width, height = size
    draw = np.random.default_rng(size)
    frequency = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width)[np.newaxis, :])
    frequency[0, 0] = np.inf
    channels = []
    for _ in range(3):
        phases = np.exp(2j * np.pi * draw.random(frequency.shape))
        channel = np.fft.irfft2(phases / frequency**1.1, (height, width))
        channels.append(channel / channel.std())
    mixed = np.stack([channels[0] + 0.3 * each for each in channels], -1)
    return (mixed / mixed.std()).astype(np.float32)


def enlarged(picture: Image.Image, size: tuple[int, int], draw: np.random.Generator) -> Image.Image:
    """A small photo as a large one of the same scene: smooth where it was coarse, with detail of the statistics 1/f."""
    large = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = draw.standard_normal((size[1], size[0], 1), np.float32) * np.float32(draw.uniform(0, 3))
    detailed = large + np.float32(draw.uniform(0.05, 0.25)) * _noise(size, draw) + grain
    return Image.fromarray(detailed.clip(0, 255).astype(np.uint8))


def cropped(path: Path, draw: np.random.Generator) -> Image.Image:
    """A part of a photo, between a third and all of it."""
    with Image.open(path) as photo:
        share = draw.uniform(0.6, 1)
        width, height = int(share * photo.width), int(share * photo.height)
        left, top = draw.integers(0, photo.width - width + 1), draw.integers(0, photo.height - height + 1)
        return photo.convert("RGB").crop((left, top, left + width, top + height))


def encoded(picture: Image.Image, draw: np.random.Generator) -> bytes:
    """A JPEG of some quality, one in five of them progressive."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=int(draw.integers(60, 97)), progressive=bool(draw.random() < 0.2))
    return content.getvalue()


def kinds(count: int, objects: Path | None, photos: list[Path], draw: np.random.Generator) -> dict[str, list[bytes]]:
    """JPEGs of 12 megapixels by their kind."""
    archive = Archive(objects) if objects else None
    names = draw.permutation(archive.names)[:count] if archive else []
    found: dict[str, list[bytes]] = {"objects": [], "crops of photos": [], "drawings": []}
    with progress.bar("drawing", count) as advance:
        for number in range(count):
            if archive:
                small = Image.open(io.BytesIO(archive.read(names[number])))
                found["objects"].append(encoded(enlarged(small, SIZE, draw), draw))
            if photos and number % 5 == 0:
                crop = cropped(photos[number % len(photos)], draw)
                found["crops of photos"].append(encoded(enlarged(crop, SIZE, draw), draw))
            if number % 10 == 0:
                found["drawings"].append(encoded(drawn(SIZE, draw), draw))
            advance(1)
    return {kind: each for kind, each in found.items() if each}


def compared(classifier: Classifier, contents: list[bytes]) -> dict[str, object]:
    """How answers and pixels differ when JPEGs are decoded down to some times the first step's size."""
    exact = np.stack([classifier.preprocessing.pixels(each) for each in contents])
    one = classifier.probabilities(exact)
    ordered = np.sort(one, axis=1)
    found: dict[str, object] = {"pictures": len(contents)}
    for margin in MARGINS:
        pixels.REDUCED_MARGIN = margin
        reduced = np.stack([classifier.preprocessing.pixels(each, exact=False) for each in contents])
        other = classifier.probabilities(reduced)
        same = one.argmax(axis=1) == other.argmax(axis=1)
        found[f"margin {margin}"] = {
            "same top-1": float(same.mean()),
            "leads where different": [round(float(lead), 3) for lead in (ordered[:, -1] - ordered[:, -2])[~same]],
            "mean difference of a pixel": float(np.abs(exact.astype(int) - reduced).mean()),
        }
    return found


def timed(chain: Preprocessing, content: bytes, rounds: int) -> dict[str, float]:
    """Milliseconds of a picture to pixels, in full and reduced, in turn."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for exact in (True, False):
            start = time.perf_counter()
            chain.pixels(content, exact=exact)
            taken[exact].append(1000 * (time.perf_counter() - start))
    full, reduced = statistics.median(taken[True]), statistics.median(taken[False])
    return {"full_ms": full, "reduced_ms": reduced, "ratio": full / reduced}


def main() -> int:
    """Run the comparison and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--objects", type=Path)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw, margin = np.random.default_rng(given.seed), pixels.REDUCED_MARGIN
    classifier = Classifier(given.model)
    answers = {
        kind: compared(classifier, contents)
        for kind, contents in kinds(given.count, given.objects, given.photos, draw).items()
    }
    found: dict[str, object] = {"answers": answers}
    pixels.REDUCED_MARGIN = MARGINS[0]
    for name, size in (("12 megapixels", SIZE), ("3 megapixels", (2048, 1536))):
        content = io.BytesIO()
        drawn(size, draw).save(content, "JPEG", quality=90)
        found[name] = {chain: timed(CHAINS[chain], content.getvalue(), 5) for chain in CHAINS}
    print(json.dumps(found, indent=2))
    judged = answers.get("objects", next(iter(answers.values())))
    return int(judged[f"margin {margin}"]["same top-1"] < WANTED)  # type: ignore[index]  # what was found is printed as JSON, and of any type


if __name__ == "__main__":
    sys.exit(main())
