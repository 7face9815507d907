"""The network: raw RGB pixels, scaling, MobileNetV2 without its top, and a head, as one flat Keras model."""

from __future__ import annotations

from typing import Any

import keras

from edgeproof.runtime.errors import ConfigError
from edgeproof.train import config as settings
from edgeproof.train import weights

FEATURES = "features"
INPUT = "pixels"


def build(network: settings.Network, classes: int) -> Any:
    """A Keras model from pixels 0–255 of shape (n, size, size, 3) to probabilities of shape (n, classes).

    Flat, because the quantisation tools refuse models inside models. Raises `ConfigError` for an `alpha` that
    does not fit the weights, and what `weights.load` raises.
    """
    inputs = keras.Input((network.size, network.size, 3), name=INPUT)
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(inputs)
    base = keras.applications.MobileNetV2(
        input_shape=(network.size, network.size, 3),
        input_tensor=scaled,
        alpha=network.alpha,
        include_top=False,
        weights=None,
    )
    weights.load(base, network)
    hidden = keras.layers.GlobalAveragePooling2D(name=FEATURES)(base.output)
    hidden = keras.layers.Dense(network.dense, activation="relu", name="head")(hidden)
    hidden = keras.layers.Dropout(network.dropout, name="dropout")(hidden)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities")(hidden)
    return keras.Model(inputs, outputs, name=f"mobilenetv2_{round(network.alpha * 100):03}_{network.size}")


def base_layers(model: Any) -> list[Any]:
    """MobileNetV2's own layers as Keras counts them (the input is the first), without scaling and head."""
    names = [layer.name for layer in model.layers]
    return [layer for layer in model.layers[: names.index(FEATURES)] if layer.name != "scaling"]


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
