"""Was a file made from this Keras model? By its contract, and by the weights of the last layer; without TensorFlow."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.contract import sha256
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.modelfile import ModelFile

WEIGHTS_NAME = "model.weights.h5"
# What a float file's weights may differ by, of their norm: half precision loses 3e-4.
FLOAT_LIMIT = 2e-3
# What integer weights may differ by, in steps, root mean square: nearest rounding gives 0.29, and rounding chosen by
# output error, which goes to the other side of some values, up to 0.6.
STEPS_LIMIT = 0.75
# Trained or thinned out after the model was: their weights are others by intent.
RETRAINED = "int8-qat"


@dataclass(frozen=True)
class Origin:
    """Whether a file is this model's; None for `same` where neither contract nor weights tell. With the evidence."""

    same: bool | None
    evidence: dict[str, float | str]


def compare(file: ModelFile, keras_model: Path) -> Origin:
    """Hold a file's record and its last layer against a `.keras` or `.h5` model.

    A record of the very same Keras file settles it. Another record does not, since saving again changes a file's
    bytes: then, and without a record, the kernel of the last layer decides, up to a factor for each of its inputs.
    """
    evidence: dict[str, float | str] = {}
    record = file.contract.provenance if file.contract is not None else {}
    claimed, actual = record.get("keras_sha256"), sha256(keras_model.read_bytes())
    if claimed is not None:
        evidence |= {"keras_sha256_of_the_file": claimed, "keras_sha256_of_the_reference": actual}
        if claimed == actual:
            return Origin(True, evidence)
    retrained = file.contract is not None and (
        file.contract.recipe == RETRAINED or {"pruned", "clustered"} & record.keys()
    )
    distances = () if retrained else _distances(Graph.read(file.flatbuffer), keras_model)
    if not distances:
        return Origin(False if claimed is not None else None, evidence)
    nearest = min(distances, key=lambda each: (not each.same, each.relative))
    evidence |= {"head_relative_distance": nearest.relative, "head_distance_in_steps": nearest.steps}
    return Origin(nearest.same, evidence)


@dataclass(frozen=True)
class _Distance:
    """How far two kernels are apart: of their norm, and in steps (root mean square) where one is of integers."""

    relative: float
    steps: float
    same: bool


def _distances(graph: Graph, keras_model: Path) -> tuple[_Distance, ...]:
    """The last layer of a graph against each kernel of its shape in the Keras model; none where there is none."""
    last = [number for number in range(len(graph.operators)) if graph.kind(number) == "FULLY_CONNECTED"]
    if not last:
        return ()
    tensor = int(graph.operators[last[-1]].inputs[1])
    source = graph.producer(tensor)
    if source is not None and graph.kind(source) == "DEQUANTIZE":  # weights in half precision
        tensor = int(graph.operators[source].inputs[0])
    stored = graph.constant(tensor)
    if stored is None or stored.dtype not in (np.float32, np.float16, np.int8, np.uint8):
        return ()
    if graph.is_float(tensor):
        weights, steps = stored.astype(np.float64), None
    elif graph.tensors[tensor].quantization is None or graph.tensors[tensor].quantization.scale is None:
        return ()
    else:
        affine = graph.affine(tensor)
        steps = np.broadcast_to(affine.scale[:, np.newaxis], stored.shape)
        weights = (stored.astype(np.float64) - affine.zero_point[:, np.newaxis]) * steps
    shape = weights.shape[::-1]
    return tuple(_distance(weights, kernel.T, steps) for kernel in _kernels(keras_model) if kernel.shape == shape)


def _distance(weights: NDArray[Any], kernel: NDArray[Any], steps: NDArray[Any] | None) -> _Distance:
    """Both of shape (classes, inputs). Equalisation scales inputs, so each gets the factor that fits best."""
    norms = np.maximum((kernel**2).sum(axis=0), 1e-30)
    off = np.abs(weights - kernel * ((weights * kernel).sum(axis=0) / norms))
    relative = float(np.linalg.norm(off) / max(1e-30, float(np.linalg.norm(weights))))
    if steps is None:
        return _Distance(relative, 0.0, relative <= FLOAT_LIMIT)
    in_steps = float(np.sqrt(np.mean((off / steps) ** 2)))
    return _Distance(relative, in_steps, in_steps <= STEPS_LIMIT)


def _kernels(keras_model: Path) -> list[NDArray[np.float64]]:
    """Every matrix in a `.keras` or `.h5` file; none where it cannot be read, which other checks complain about."""
    found: list[NDArray[np.float64]] = []

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 2:
            found.append(np.asarray(item, np.float64))

    try:
        content = keras_model.read_bytes()
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = archive.read(WEIGHTS_NAME)
        with h5py.File(io.BytesIO(content)) as weights:
            weights.visititems(take)
    except (OSError, KeyError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile):
        return []
    return found
