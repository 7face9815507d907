"""scikit-learn's 1,797 scanned digits of 8×8 pixels: the embedded data that needs no network."""

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.contract import sha256
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing
from edgeproof.train.split import stratified

SIZE = 8


def load(preprocessing: Preprocessing, test_share: float, seed: int) -> tuple[LabelledPictures, LabelledPictures]:
    """Training and test digits, black on white, split by class with the seed."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = 255 - np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    classes = bunch.target.astype(np.int64)
    everything = pictures(
        np.repeat(grey[..., np.newaxis], 3, axis=-1),
        classes,
        tuple(str(name) for name in bunch.target_names),
        tuple(f"digits/{label}/{number:04}" for number, label in enumerate(classes)),
        preprocessing,
    )
    train, test = stratified(classes, test_share, seed)
    return everything.take(train), everything.take(test)


def pictures(
    images: NDArray[np.uint8],
    classes: NDArray[np.int64],
    labels: tuple[str, ...],
    names: tuple[str, ...],
    preprocessing: Preprocessing,
) -> LabelledPictures:
    """Wrap arrays of shape (n, height, width, 3) as labelled pictures, through the first resize step."""
    if images.shape[1:3] != preprocessing.stored_size:
        images = np.stack([preprocessing.stored(image) for image in images])
    hashes = tuple(sha256(image.tobytes()) for image in images)
    return LabelledPictures(labels, names, classes, images, hashes, preprocessing)
