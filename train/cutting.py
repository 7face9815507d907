"""Where a phase cuts the network in two: what is run once for each view of a picture, and what is trained behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgeproof.train import distribution, fusion, network
from edgeproof.train.config import Config


@dataclass(frozen=True)
class Cut:
    """A network's `frozen` part, None where the whole of it is run in every step, and the part that is `trained`.

    Both share the network's variables.
    """

    frozen: Any | None
    trained: Any


def for_head(model: Any) -> Cut:
    """Freeze the whole base, and cut behind it."""
    for layer in network.base_layers(model):
        layer.trainable = False
    features = network.feature_model(model)
    with distribution.strategy().scope():
        return Cut(features, network.head_model(model))


def for_finetuning(model: Any, config: Config) -> Cut:
    """Freeze what phase 2 leaves as it is, and cut where it ends; nowhere, when nothing is frozen."""
    network.freeze_as_set(model, config)
    place = boundary(model)
    if place is None:
        return uncut(model)
    before = part(model, place)
    with distribution.strategy().scope():
        return Cut(before, fusion.fused(tail(model, place)))


def uncut(model: Any) -> Cut:
    """The whole network in every step."""
    with distribution.strategy().scope():
        return Cut(None, fusion.fused(model))


def boundary(model: Any) -> str | None:
    """The layer behind which a functional model may be cut so that nothing before it is trained; None for no such.

    One tensor crosses there: the last one of those that are not more than twice the smallest. The input and what only
    scales it are no place.
    """
    places: list[tuple[int, str]] = []
    nodes = network.nodes(model)
    weighty = False
    for place, layer in enumerate(model.layers):
        if layer.trainable_weights:
            break
        weighty |= bool(layer.weights)
        size = _crossing_size(model.layers, nodes, place) if weighty else None
        if size is not None:
            places.append((size, layer.name))
    smallest = min((size for size, _ in places), default=0)
    return next((name for size, name in reversed(places) if size <= 2 * smallest), None)


def part(model: Any, name: str) -> Any:
    """The model from its input to the output of a layer."""
    return keras.Model(model.inputs[0], model.get_layer(name).output)


def tail(model: Any, name: str) -> Any:
    """The model from the output of a layer to its own, with its own layers."""
    return keras.Model(model.get_layer(name).output, model.outputs[0])


def _crossing_size(layers: list[Any], nodes: list[Any], place: int) -> int | None:
    """How many numbers cross from the first layers, up to `place`, to the others, where it is one tensor's."""
    before, behind = ({id(layer) for layer in part} for part in (layers[: place + 1], layers[place + 1 :]))
    crossing = {
        id(tensor): tensor
        for node in nodes
        if id(node.operation) in behind
        for tensor in node.input_tensors
        if id(tensor._keras_history.operation) in before
    }
    if len(crossing) != 1:
        return None
    (tensor,) = crossing.values()
    if tensor._keras_history.operation is not layers[place]:
        return None
    return int(np.prod(tensor.shape[1:]))
