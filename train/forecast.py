"""How long phase 2 will take, told in phase 1 from how fast the frozen base runs there. `costs.py` times real steps."""

from __future__ import annotations

from math import prod
from typing import Any

import tensorflow as tf

from edgeproof.train import distribution, network
from edgeproof.train.config import Config

# What training takes for each second that LiteRT takes for the same layers and pictures, roughly: by the seconds in
# history.csv of `make cifar100`, whose first epochs of phase 1 make a view each.
TIMES = 5.0


def finetuning(model: Any, config: Config, pictures: int) -> float | None:
    """Seconds of a phase 2 on so many pictures for each second that LiteRT takes for a picture through the whole base.

    None with a GPU or several workers, of whose steps this processor says nothing.
    """
    if distribution.is_shared() or tf.config.list_physical_devices("GPU"):
        return None
    layers = network.base_layers(model)
    trained = layers[network.frozen_layers(model, config) :]
    share = sum(map(multiply_adds, trained)) / max(1, sum(map(multiply_adds, layers)))
    return config.finetune.epochs * pictures * TIMES * share


def multiply_adds(layer: Any) -> int:
    """Of a layer with kernels, a convolution or a dense layer, for one picture; 0 of any other."""
    numbers: int = sum(prod(weight.shape) for weight in layer.weights if len(weight.shape) > 1)
    places: int = prod(layer.output.shape[1:-1]) if numbers else 0
    return numbers * places
