"""Calibration: the training pictures whose activations set the integer ranges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeproof.runtime.atomic import write_text
from edgeproof.runtime.contract import Calibration, digest
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels
from edgeproof.train.run import table
from edgeproof.train.split import balanced_sample

DEFAULT_IMAGES = 300


@dataclass(frozen=True)
class CalibrationSet:
    """The chosen pictures, and the seed that chose them."""

    pictures: LabelledPictures
    seed: int

    @property
    def summary(self) -> Calibration:
        """What the exported file says of its calibration."""
        return Calibration(
            images=len(self.pictures),
            classes=len(set(self.pictures.classes.tolist())),
            seed=self.seed,
            digest=digest(self.pictures.hashes),
        )

    def pixels(self) -> Pixels:
        """The model's pixels, shape (n, height, width, 3), in an order that mixes the classes.

        One pixel of the first picture is black and one white, so that the input's range is 0 to 255 whatever
        the pictures, and each byte stands for itself in the exported file.
        """
        pixels = self.pictures.preprocessing.finished(self.pictures.stored).copy()
        pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255
        return pixels

    def write(self, path: Path) -> None:
        """Record the chosen pictures as CSV: path, label, sha256 of the stored pixels."""
        chosen = self.pictures
        labels = (chosen.labels[number] for number in chosen.classes)
        rows = list(zip(chosen.names, labels, chosen.hashes, strict=True))
        write_text(path, table(("path", "label", "sha256"), rows))


def choose(train: LabelledPictures, *, images: int = DEFAULT_IMAGES, seed: int = 0) -> CalibrationSet:
    """A class-balanced, seeded sample of training pictures."""
    if images < 1:
        raise ValueError(f"Expected images >= 1, got {images}.")
    return CalibrationSet(train.take(balanced_sample(train.classes, images, seed)), seed)
