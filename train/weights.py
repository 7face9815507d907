"""Where the backbone's first weights come from: ImageNet through Keras, a file, the bundled ones, or none."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from edgeproof import models
from edgeproof.runtime.atomic import replacing
from edgeproof.runtime.errors import ConfigError, ModelError, first_line
from edgeproof.train import config as settings

BUNDLED_ALPHA = 0.35
WAYS_OUT = (
    "connect to the network once, give --set network.weights=FILE.h5, "
    "or take the bundled ones with --set network.weights=bundled --set network.alpha=0.35"
)


def load(base: Any, network: settings.Network) -> None:
    """Fill a MobileNetV2 without top with the weights that the settings name.

    Raises `ConfigError` when they cannot be had or do not fit.
    """
    if network.weights == "none":
        return
    if network.weights == "imagenet":
        _load_imagenet(base, network)
    elif network.weights == "bundled":
        if network.alpha != BUNDLED_ALPHA:
            raise ConfigError(f"network.weights=bundled has alpha 0.35, not {network.alpha:g}. Set network.alpha=0.35.")
        load_half(base, models.path(models.BACKBONE))
    else:
        _load_file(base, Path(network.weights), network.alpha)


def save_half(base: Any, path: str | Path) -> None:
    """Write a backbone's weights in half precision: arrays by number, in Keras' order of `get_weights`.

    Raises `ModelError` for weights beyond what half precision can hold.
    """
    with np.errstate(over="ignore"):
        arrays = {f"{number:03}": array.astype(np.float16) for number, array in enumerate(base.get_weights())}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ModelError(f"{path}: some weights are too large for half precision. Keep the .keras file instead.")
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def load_half(base: Any, path: Path) -> None:
    """Read weights that `save_half` wrote. Raises `ConfigError` when they are another network's."""
    try:
        # From memory: np.load leaves a file that is no archive open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            base.set_weights([arrays[name].astype(np.float32) for name in sorted(arrays.files)])
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, zlib.error, BadZipFile) as error:
        raise ConfigError(f"{path}: weights that do not fit the network ({first_line(error)[:120]}).") from None


def _load_imagenet(base: Any, network: settings.Network) -> None:
    try:
        source = keras.applications.MobileNetV2(
            input_shape=(network.size, network.size, 3),
            alpha=network.alpha,
            include_top=False,
            weights="imagenet",
        )
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise ConfigError(
            f"network.weights=imagenet: Keras could not get them ({first_line(error)[:120]}). "
            f"Three ways out: {WAYS_OUT}."
        ) from None
    base.set_weights(source.get_weights())


def _load_file(base: Any, path: Path, alpha: float) -> None:
    if not path.is_file():
        raise ConfigError(f"network.weights={path}: no such file. Give imagenet, bundled, none or a file of weights.")
    if path.suffix == ".npz":
        load_half(base, path)
        return
    try:
        # Keras warns of containers without weights; a layer that finds none of its own is an error all the same.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            base.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"network.weights={path} does not fit a MobileNetV2 of alpha {alpha:g} ({first_line(error)[:120]})."
        ) from None
