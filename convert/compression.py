"""Pruning and clustering: weights that an archive makes small, in a Keras model that any recipe exports."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgeproof.convert import process, twin
from edgeproof.convert.finetuning import Finetuning
from edgeproof.convert.lowering import without_softmax
from edgeproof.convert.twin import Twin
from edgeproof.runtime.errors import ConfigError, ModelError
from edgeproof.runtime.labelled import LabelledPictures

DEFAULT = Finetuning(steps=300, learning_rate=1e-4)


def prune(
    model: Any,
    sparsity: float,
    *,
    train: LabelledPictures,
    settings: Finetuning = DEFAULT,
    command: Sequence[str] = process.COMMAND,
) -> Any:
    """A copy of a Keras 3 classifier with this share of each kernel's weights zero, fine-tuned to answer the same.

    The smallest weights go, step by step (Zhu and Gupta 2017); depthwise and small kernels stay whole. Raises
    `ConfigError` for a share outside 0 to 1, and `ModelError` as `process.run` does.
    """
    if not 0 < sparsity < 1:
        raise ConfigError(f"--prune {sparsity:g}: a share of weights between 0 and 1 is expected.")
    wanted = {"task": "prune", "sparsity": sparsity, "settings": settings}
    return _changed(model, train, description="Pruning", command=command, **wanted)


def cluster(
    model: Any,
    clusters: int,
    *,
    train: LabelledPictures,
    settings: Finetuning = DEFAULT,
    command: Sequence[str] = process.COMMAND,
) -> Any:
    """A copy of a Keras 3 classifier whose kernels hold this many values each, fine-tuned to answer the same.

    Depthwise and small kernels stay as they are (Han et al. 2016). Raises `ConfigError` for less than 2, and
    `ModelError` as `process.run` does.
    """
    if clusters < 2:
        raise ConfigError(f"--cluster {clusters}: at least 2 values a kernel are expected.")
    wanted = {"task": "cluster", "clusters": clusters, "settings": settings}
    return _changed(model, train, description="Clustering", command=command, **wanted)


def compressed_size(content: bytes) -> int:
    """The bytes that zlib leaves of a file at its highest level: what a download of it comes to."""
    return len(zlib.compress(content, 9))


def sparsity_of(model: Any) -> float:
    """The share of a model's kernels that is zero."""
    kernels = [np.asarray(array) for array in model.get_weights() if np.ndim(array) > 1]
    return float(sum((kernel == 0).sum() for kernel in kernels) / max(1, sum(kernel.size for kernel in kernels)))


def _changed(model: Any, train: LabelledPictures, **wanted: Any) -> Any:
    described = twin.describe(model)
    _check_shared(described)
    content = process.run(model, train, **wanted)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    with np.load(io.BytesIO(content)) as arrays:
        for layer in without_softmax(described).layers:
            for number, (path, place) in enumerate(layer.origins):
                _layer(copy, path).weights[place].assign(arrays[f"{layer.name}/{number}"])
    return copy


def _check_shared(described: Twin) -> None:
    origins = [origin for layer in described.layers for origin in layer.origins]
    twice = next((path for path, number in origins if origins.count((path, number)) > 1), None)
    if twice is not None:
        raise ModelError(f"The layer '{twice}' is used more than once; its weights cannot be changed for each use.")


def _layer(model: Any, path: str) -> Any:
    for name in path.split("/"):
        model = model.get_layer(name)
    return model
