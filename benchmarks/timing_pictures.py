"""The pictures that latency is measured with: some of the data, golden examples, or made-up ones if there are none."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from edgeproof.benchmarks.blocks import BATCH
from edgeproof.benchmarks.quality import batches
from edgeproof.runtime import Classifier, golden, labelled
from edgeproof.runtime.labelled import Archive, LabelledPictures
from edgeproof.runtime.pixels import Pixels, Preprocessing, Resize

COUNT = 2 * BATCH
# Picture files whose stages are timed in every block.
FILES = 16
Source = Literal["data", "golden", "synthetic"]


@dataclass(frozen=True, slots=True)
class Timed:
    """Where the pictures come from, the picture files whose stages are timed, and what these are, in words."""

    source: Source
    files: tuple[bytes, ...]
    described: str


def chosen(classifiers: Sequence[Classifier], pictures: LabelledPictures | None, data: Path | None = None) -> Timed:
    """What to time with: data, else golden examples of the first file that has some, else synthetic pictures.

    Files for the stages are those of the folder or zip `data`, where it is one; a run keeps pixels alone, so that its
    pictures are packed as PNG at the size at which they were kept.
    """
    if pictures is not None:
        found = _archived(data) if data is not None else ()
        if found:
            return Timed("data", found, f"{len(found)} picture files of the data")
        kept = pictures.take(_spread(len(pictures), FILES)).stored
        height, width = kept.shape[1:3]
        return Timed("data", tuple(map(_png, kept)), f"{len(kept)} pictures of the data as PNG, {width}×{height}")
    for classifier in classifiers:
        contract = classifier.file.contract
        if contract is not None and contract.golden is not None:
            examples = golden.read(classifier.file).pictures
            return Timed("golden", examples, f"the {len(examples)} golden examples of {classifier.file.path.name}")
    size = classifiers[0].preprocessing.input_size
    made = tuple(map(_png, synthetic_pixels(*size, seed=0)[:FILES]))
    return Timed("synthetic", made, f"{len(made)} synthetic pictures as PNG, {size[1]}×{size[0]}")


def timing_pixels(
    classifier: Classifier, pictures: LabelledPictures | None, timed: Timed | None = None, *, count: int = COUNT
) -> Pixels:
    """Pixels of shape (count, height, width, 3) at the model's size: of all the data, of `timed`, or synthetic.

    The data are sampled at even distances. Fewer pictures than that are repeated.
    """
    if pictures is not None:
        spread = _spread(len(pictures), count)
        return np.concatenate([pixels for pixels, _ in batches(classifier, pictures.take(spread))])
    if timed is None or timed.source == "synthetic":
        return synthetic_pixels(*classifier.preprocessing.input_size, seed=0)
    pixels = np.stack([classifier.preprocessing.pixels(content) for content in timed.files])
    return pixels[np.arange(count) % len(pixels)]


def synthetic_pixels(height: int, width: int, *, seed: int) -> Pixels:
    """Sixty-four smooth pictures of random colours; the same seed gives the same ones."""
    coarse = np.random.default_rng(seed).integers(0, 256, (COUNT, 4, 4, 3), np.uint8)
    enlarge = Preprocessing(steps=(Resize(width=4, height=4), Resize(width=width, height=height, resample="bicubic")))
    return enlarge.finished(coarse)


def _archived(data: Path) -> tuple[bytes, ...]:
    """Picture files of a folder or zip, at even distances; none for a run or its .npz."""
    if data.suffix == ".npz" or (data / "test.npz").is_file():
        return ()
    archive = Archive(data)
    items = labelled.judged(labelled.find(archive))
    return tuple(archive.read(items[place].name) for place in _spread(len(items), min(FILES, len(items))))


def _spread(available: int, wanted: int) -> list[int]:
    return [int(place) for place in np.linspace(0, max(available - 1, 0), wanted)]


def _png(pixels: Pixels) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()
