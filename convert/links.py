"""Which layers' channels a layer takes, and the scales that would share the int8 steps fairly between the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.equalisation import Spans
from edgeproof.runtime.graph import WEIGHTED, Graph

Floats = NDArray[np.float64]

# What lets channels pass, each by itself.
POOLING = ("MEAN", "MAX_POOL_2D", "AVERAGE_POOL_2D")
PASSING = (*POOLING, "PAD", "RESHAPE", "RELU")
# Layers whose weights of several channels share one scale.
MIXING = ("CONV_2D", "FULLY_CONNECTED")
_DEAD = 1e-9


def makers(graph: Graph) -> dict[int, int]:
    """For pooling and for layers that mix channels: the layer or addition that made these, as operators' numbers.

    Between the two may lie more pooling, padding and flattening.
    """
    found: dict[int, int] = {}
    for operator in range(len(graph.operators)):
        if graph.kind(operator) in (*MIXING, *POOLING) and len(graph.taken(operator)) == 1:
            maker = _maker(graph, graph.taken(operator)[0])
            if maker is not None and _inputs(graph, operator) % _channels(graph, maker) == 0:
                found[operator] = maker
    return found


def scales(graph: Graph, maker: int, takers: Sequence[int], spans: Spans) -> Floats:
    """What each channel of a layer's output would be divided by to equalise it, of shape (channels,).

    A channel's share of its tensor's range becomes its share of the range of the weights that take it (Nagel et al.
    2019). Below a ReLU6, whose range is fixed, and before layers with a scale for each channel, every channel gets the
    whole range.
    """
    reach = np.maximum(np.abs(spans.low), np.abs(spans.high))
    if not takers or graph.activation(maker) == "RELU6":
        reach[reach <= _DEAD * reach.max()] = 1.0
        return reach
    weights = np.max([_by_channel(graph, taker, len(reach)) for taker in takers], axis=0)
    active, used = reach > _DEAD * reach.max(), weights > _DEAD * weights.max()
    if not (active & used).any():
        return np.ones_like(reach)
    # The range that both sides of a channel get; where one side says nothing, the other gets that of most channels.
    shared = np.sqrt(reach * weights)
    shared[~(active & used)] = np.median(shared[active & used])
    found: Floats = np.divide(reach, shared, out=np.ones_like(reach), where=active)
    np.divide(shared, weights, out=found, where=used & ~active)
    return found


def by_input(graph: Graph, taker: int, scale: Floats) -> Floats:
    """Scales of channels, as they stand along the inputs of a layer that takes them; of its weights' last axis."""
    return np.tile(scale, _inputs(graph, taker) // len(scale))


def weights_of(graph: Graph, operator: int) -> NDArray[Any]:
    """A layer's weights. Raises `ValueError` where they are no constant."""
    found = graph.constant(int(graph.operators[operator].inputs[1]))
    if found is None:
        raise ValueError(f"Operator {operator} has no constant weights.")
    return found


def _maker(graph: Graph, tensor: int) -> int | None:
    """The layer or addition whose channels a tensor holds."""
    operator = graph.producer(tensor)
    while operator is not None and graph.kind(operator) in PASSING and len(graph.taken(operator)) == 1:
        operator = graph.producer(graph.taken(operator)[0])
    return operator if operator is not None and makes_channels(graph, operator) else None


def makes_channels(graph: Graph, operator: int) -> bool:
    """Whether an operator is a layer with weights, or the addition of two."""
    return graph.kind(operator) in WEIGHTED or (graph.kind(operator) == "ADD" and len(graph.taken(operator)) == 2)


def _channels(graph: Graph, operator: int) -> int:
    return graph.shape(graph.given(operator))[-1]


def _inputs(graph: Graph, operator: int) -> int:
    """How many inputs an output of a layer has at one place, or the channels that pooling leaves."""
    if graph.kind(operator) in POOLING:
        return _channels(graph, operator)
    return graph.shape(int(graph.operators[operator].inputs[1]))[-1]


def _by_channel(graph: Graph, taker: int, channels: int) -> Floats:
    """The largest weight with which a layer takes each channel."""
    weights = np.abs(weights_of(graph, taker).astype(np.float64))
    largest = weights.reshape(-1, weights.shape[-1]).max(axis=0)
    found: Floats = largest.reshape(-1, channels).max(axis=0)
    return found
