"""Where the backbone's first weights come from: ImageNet through Keras, a file, the bundled ones, or none."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from edgeproof import models
from edgeproof.runtime.atomic import replacing
from edgeproof.runtime.errors import ConfigError, ModelError, first_line
from edgeproof.train import config as settings
from edgeproof.train.backbones import DEFAULT, Backbone, built, title

BUNDLED_ALPHA = 0.35
BUNDLED = "--set network.weights=bundled --set network.alpha=0.35"


def load(base: Any, network: settings.Network, row: Backbone | None = None) -> None:
    """Fill a backbone without top with the weights that the settings name; a model file's (no `row`) has its own.

    Raises `ConfigError` when they cannot be had or do not fit.
    """
    if network.weights == "none" and row is None:
        raise ConfigError(f"network.weights=none, but {network.backbone} brings weights. Leave it out.")
    if network.weights == "none":
        return
    if network.weights == "imagenet":
        if row is not None:
            _load_imagenet(base, network, row)
    elif network.weights == "bundled":
        if network.backbone.lower() != DEFAULT:
            raise ConfigError(
                f"network.weights=bundled is for mobilenetv2, not {title(network)}. {_ways_out(network)}."
            )
        if network.alpha != BUNDLED_ALPHA:
            raise ConfigError(f"network.weights=bundled has alpha 0.35, not {network.alpha:g}. Set network.alpha=0.35.")
        load_half(base, models.path(models.BACKBONE))
    else:
        _load_file(base, Path(network.weights), title(network))


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


def _load_imagenet(base: Any, network: settings.Network, row: Backbone) -> None:
    try:
        source = built(row, network, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise ConfigError(
            f"network.weights=imagenet: Keras could not get them for {title(network)} ({first_line(error)[:120]}). "
            f"{_ways_out(network)}."
        ) from None
    base.set_weights(source.get_weights())


def _ways_out(network: settings.Network) -> str:
    ways = "connect to the network once, give --set network.weights=FILE.h5, "
    if network.backbone.lower() == DEFAULT:
        return f"Three ways out: {ways}or take the bundled ones with {BUNDLED}"
    return f"Three ways out: {ways}or take mobilenetv2 with {BUNDLED}"


def _load_file(base: Any, path: Path, name: str) -> None:
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
        raise ConfigError(f"network.weights={path} does not fit {_a(name)} ({first_line(error)[:120]}).") from None


def _a(name: str) -> str:
    return f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"
