"""The network: raw RGB pixels, scaling, a backbone without its top, and a head, as one flat Keras model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from edgeproof.runtime.errors import ConfigError
from edgeproof.train import backbones, weights
from edgeproof.train import config as settings

FEATURES = "features"
INPUT = "pixels"


def build(network: settings.Network, classes: int) -> Any:
    """A Keras model from pixels 0–255 of shape (n, size, size, 3) to probabilities of shape (n, classes).

    Flat, because the quantisation tools refuse models inside models. Raises `ConfigError` for a backbone that does
    not exist or does not fit the other settings, and what `weights.load` raises.
    """
    inputs = keras.Input((network.size, network.size, 3), name=INPUT)
    hidden = keras.layers.GlobalAveragePooling2D(name=FEATURES)(_last_map(network, inputs))
    hidden = keras.layers.Dense(network.dense, activation="relu", name="head")(hidden)
    hidden = keras.layers.Dropout(network.dropout, name="dropout")(hidden)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities")(hidden)
    return keras.Model(inputs, outputs, name=backbones.name(network))


def _last_map(network: settings.Network, inputs: Any) -> Any:
    """The backbone's output of shape (n, height, width, channels), with the weights that the settings name."""
    row = backbones.known(network)
    if row is not None:
        base = backbones.built(row, network, inputs=_scaled(inputs, *row.scaling))
        weights.load(base, network, row)
        return base.output
    low, high = network.input_range
    scaled = inputs if (low, high) == (0.0, 255.0) else _scaled(inputs, ((high - low) / 255,) * 3, (low,) * 3)
    found = backbones.from_file(Path(network.backbone), scaled)
    weights.load(keras.Model(inputs, found), network)
    return found


def _scaled(inputs: Any, scale: tuple[float, ...], offset: tuple[float, ...]) -> Any:
    """Raw pixels as a backbone takes them. One number where the channels do not differ, as the file formats like it."""
    one = len({*scale}) == 1 and len({*offset}) == 1
    layer = keras.layers.Rescaling(scale[0], offset[0], name=backbones.SCALING) if one else None
    layer = layer or keras.layers.Rescaling(list(scale), list(offset), name=backbones.SCALING)
    return layer(inputs)


def base_layers(model: Any) -> list[Any]:
    """The backbone's own layers as Keras counts them (the input is the first), without scaling and head."""
    names = [layer.name for layer in model.layers]
    return [layer for layer in model.layers[: names.index(FEATURES)] if layer.name != backbones.SCALING]


def freeze(model: Any, frozen_layers: int, *, batch_norm: str = "training") -> None:
    """Train all but the first layers of the base. Frozen batch norm runs in inference mode, as Keras has it.

    With `batch_norm="frozen"` that goes for every batch norm of the base. Raises `ConfigError` when the base
    has fewer layers.
    """
    layers = base_layers(model)
    if frozen_layers > len(layers):
        raise ConfigError(f"finetune.frozen_layers is {frozen_layers}; the base has {len(layers)} layers. Give fewer.")
    for number, layer in enumerate(layers):
        kept = batch_norm == "frozen" and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = number >= frozen_layers and not kept


def freeze_as_set(model: Any, config: settings.Config) -> None:
    """Freeze what phase 2 leaves as it is, by the settings or, where they do not say, by the backbone."""
    freeze(model, frozen_layers(model, config), batch_norm=config.finetune.batch_norm)


def frozen_layers(model: Any, config: settings.Config) -> int:
    """How many layers of the base phase 2 leaves as they are."""
    first = config.finetune.frozen_layers
    return backbones.frozen_layers(config.network, len(base_layers(model))) if first is None else first


def feature_model(model: Any) -> Any:
    """The part of a model from pixels to features of shape (n, channels)."""
    return keras.Model(model.inputs[0], model.get_layer(FEATURES).output)


def head_model(model: Any) -> Any:
    """The part of a model from features to probabilities, sharing the model's own layers."""
    inputs = keras.Input(model.get_layer(FEATURES).output.shape[1:])
    outputs = inputs
    for name in ("head", "dropout", "probabilities"):
        outputs = model.get_layer(name)(outputs)
    return keras.Model(inputs, outputs)


def nodes(model: Any) -> list[Any]:
    """The calls of layers that a functional model is made of. Its layers may be called in other models too."""
    return [node for level in model._nodes_by_depth.values() for node in level if not node.is_input]
