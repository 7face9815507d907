"""The pictures that latency is measured with: some of the data, or made-up ones where there are none."""

import numpy as np

from edgeproof.benchmarks.blocks import BATCH
from edgeproof.benchmarks.quality import batches
from edgeproof.runtime import Classifier
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels, Preprocessing, Resize

COUNT = 2 * BATCH


def timing_pixels(classifier: Classifier, pictures: LabelledPictures | None, *, seed: int = 0) -> Pixels:
    """Pixels of shape (64, height, width, 3) at the model's size: of all the data, or synthetic for None.

    The data are sampled at even distances. Fewer pictures than 64 are repeated.
    """
    if pictures is None:
        return synthetic_pixels(*classifier.preprocessing.input_size, seed=seed)
    spread = np.linspace(0, len(pictures) - 1, COUNT).astype(np.int64)
    return np.concatenate([pixels for pixels, _ in batches(classifier, pictures.take(spread))])


def synthetic_pixels(height: int, width: int, *, seed: int) -> Pixels:
    """Sixty-four smooth pictures of random colours; the same seed gives the same ones."""
    coarse = np.random.default_rng(seed).integers(0, 256, (COUNT, 4, 4, 3), np.uint8)
    enlarge = Preprocessing(steps=(Resize(width=4, height=4), Resize(width=width, height=height, resample="bicubic")))
    return enlarge.finished(coarse)
