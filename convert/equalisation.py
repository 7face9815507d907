"""Cross-layer equalisation on the float graph: channels share their tensor's int8 range fairly, the function stays.

A channel is scaled (and shifted) where it is made, and back where it is used: Nagel et al. 2019, "Data-free
quantization through weight equalization and bias correction", with three additions. ReLU6 stays ReLU6: a channel that
calibration never saw near 6 is scaled up to it. Channels of a residual chain share one scale through all additions.
Offsets of channels, which waste range, move into the biases behind (their "bias absorption"), wherever a layer
without padding comes next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.execution import Execution, as_input
from edgeproof.runtime.graph import WEIGHTED, Graph
from edgeproof.runtime.pixels import Pixels

Floats = NDArray[np.float64]

# How far beyond what calibration saw a channel of a clipped activation may still go, as a share of its range.
MARGIN = 0.2
_LEAST = 1e-6
_STILL = 1e-4


@dataclass(frozen=True, slots=True)
class Spans:
    """The least and the largest value of each channel of a tensor."""

    low: Floats
    high: Floats


def spans(graph: Graph, pixels: Pixels) -> dict[int, Spans]:
    """The channels' spans of every operator's output, on pixels of shape (n, height, width, 3)."""
    run, found = Execution(graph, as_input(graph, pixels)), {}
    for operator in range(len(graph.operators)):
        values = run.advance(operator)
        axes = tuple(range(values.ndim - 1))
        found[graph.given(operator)] = Spans(
            values.min(axis=axes).astype(np.float64), values.max(axis=axes).astype(np.float64)
        )
    return found


def equalise(graph: Graph, pixels: Pixels) -> int:
    """Equalise a float graph in place, by what it shows on calibration pixels; returns how many places it changed."""
    seen = spans(graph, pixels)
    done = sum(_equalise_chain(graph, chain, seen) for chain in _chains(graph))
    return done + sum(_equalise_clipped(graph, operator, seen) for operator in range(len(graph.operators)))


def _equalise_clipped(graph: Graph, operator: int, seen: dict[int, Spans]) -> bool:
    """A layer that ends in ReLU or ReLU6, whose output one other layer takes, perhaps through a mean."""
    if not _own_weights(graph, operator) or graph.activation(operator) not in ("RELU", "RELU6"):
        return False
    tensor, user = graph.given(operator), _only_user(graph, graph.given(operator))
    if user is not None and graph.kind(user) == "MEAN":
        user = _only_user(graph, graph.given(user))
    if user is None or not _takes_channels(graph, user, tensor) or tensor in graph.outputs:
        return False
    low, high = seen[tensor].low, seen[tensor].high
    room = MARGIN * (high - low)
    # A channel that is never near zero gives away its offset, unless the next layer pads with zeros.
    offset = np.maximum(low - room, 0.0) if _pointwise(graph, user) else np.zeros_like(low)
    top = high + room
    if graph.activation(operator) == "RELU6":
        top = np.minimum(top, 6.0)
    width = top - offset
    full = 6.0 if graph.activation(operator) == "RELU6" else float(width.max())
    # A channel that never moves stays: without its offset it would reach its cap elsewhere.
    offset = np.where(width > _STILL, offset, 0.0)
    scale = np.where(width > _STILL, full / np.maximum(width, _STILL), 1.0)
    _give(graph, operator, scale, offset)
    _take(graph, user, scale, offset)
    return True


def _equalise_chain(graph: Graph, chain: list[int], seen: dict[int, Spans]) -> bool:
    """The linear tensors of a residual chain: one scale a channel for all of them, an offset for each."""
    makers = {tensor: graph.producer(tensor) for tensor in chain}
    users = [(user, tensor) for tensor in chain for user in graph.consumers(tensor) if user not in makers.values()]
    layers = [maker for maker in makers.values() if maker is not None and graph.kind(maker) != "ADD"]
    fits = all(_own_weights(graph, layer) for layer in layers)
    fits &= all(_takes_channels(graph, user, tensor) for user, tensor in users)
    if not fits or None in makers.values() or set(chain) & set(graph.outputs) or not users:
        return False
    offsets = _offsets(graph, chain, seen) if all(_pointwise(graph, user) for user, _ in users) else {}
    zero = np.zeros_like(seen[chain[0]].low)
    reach = np.max(
        [np.maximum(offsets.get(t, zero) - seen[t].low, seen[t].high - offsets.get(t, zero)) for t in chain], axis=0
    )
    scale = np.where(reach > _LEAST, reach.max() / np.maximum(reach, _LEAST), 1.0)
    for tensor, maker in makers.items():
        if maker in layers:
            _give(graph, maker, scale, offsets.get(tensor, zero))
    for user, tensor in users:
        _take(graph, user, scale, offsets.get(tensor, zero))
    return True


def _offsets(graph: Graph, chain: list[int], seen: dict[int, Spans]) -> dict[int, Floats]:
    """The middle of each channel; a sum's is the sum of its parts'. `chain` is in the order of computation."""
    found: dict[int, Floats] = {}
    for tensor in chain:
        maker = graph.producer(tensor)
        if maker is not None and graph.kind(maker) == "ADD":
            found[tensor] = np.sum([found[part] for part in graph.taken(maker)], axis=0)
        else:
            found[tensor] = (seen[tensor].low + seen[tensor].high) / 2
    return found


def _chains(graph: Graph) -> list[list[int]]:
    """Linear tensors of layers, gathered where additions tie them; in the order of computation."""
    chains: list[list[int]] = []
    for operator in range(len(graph.operators)):
        if graph.activation(operator) != "NONE" or len(graph.shape(graph.given(operator))) != 4:
            continue
        if graph.kind(operator) in WEIGHTED:
            chains.append([graph.given(operator)])
        elif graph.kind(operator) == "ADD" and len(graph.taken(operator)) == 2:
            tied = [chain for chain in chains if set(chain) & set(graph.taken(operator))]
            if set(graph.taken(operator)) <= {tensor for chain in tied for tensor in chain}:
                chains = [chain for chain in chains if chain not in tied]
                chains.append([*sorted(tensor for chain in tied for tensor in chain), graph.given(operator)])
    return [_in_order(graph, chain) for chain in chains]


def _in_order(graph: Graph, chain: list[int]) -> list[int]:
    return sorted(chain, key=lambda tensor: graph.producer(tensor) or 0)


def _own_weights(graph: Graph, operator: int) -> bool:
    """Whether a layer has constant weights and a bias that no other operator uses."""
    inputs = graph.operators[operator].inputs
    if graph.kind(operator) not in WEIGHTED or len(inputs) < 3:
        return False
    constants = [int(tensor) for tensor in inputs[1:3]]
    return all(graph.constant(t) is not None and len(graph.consumers(t)) == 1 for t in constants)


def _takes_channels(graph: Graph, operator: int, tensor: int) -> bool:
    """Whether a layer with weights of its own has one for each channel of a tensor: no groups, no multiplier."""
    return (
        _own_weights(graph, operator)
        and graph.shape(int(graph.operators[operator].inputs[1]))[-1] == graph.shape(tensor)[-1]
    )


def _only_user(graph: Graph, tensor: int) -> int | None:
    users = graph.consumers(tensor)
    return users[0] if len(users) == 1 else None


def _pointwise(graph: Graph, operator: int) -> bool:
    """Whether a layer sees no padding: a dense layer or a convolution of 1×1."""
    shape = graph.shape(int(graph.operators[operator].inputs[1]))
    return graph.kind(operator) == "FULLY_CONNECTED" or (graph.kind(operator) == "CONV_2D" and shape[1:3] == (1, 1))


def _give(graph: Graph, operator: int, scale: Floats, offset: Floats) -> None:
    """Let a layer give (x - offset) · scale instead of x."""
    weights, bias = (int(tensor) for tensor in graph.operators[operator].inputs[1:3])
    values = _constant(graph, weights)
    rows = scale if graph.kind(operator) == "DEPTHWISE_CONV_2D" else scale.reshape(-1, *[1] * (values.ndim - 1))
    graph.set_constant(weights, values * rows)
    graph.set_constant(bias, (_constant(graph, bias) - offset) * scale)


def _take(graph: Graph, operator: int, scale: Floats, offset: Floats) -> None:
    """Let a layer take (x - offset) · scale instead of x, and give the same."""
    weights, bias = (int(tensor) for tensor in graph.operators[operator].inputs[1:3])
    values = _constant(graph, weights)
    if offset.any():
        graph.set_constant(bias, _constant(graph, bias) + values.reshape(len(values), -1) @ offset)
    graph.set_constant(weights, values / scale)


def _constant(graph: Graph, tensor: int) -> Floats:
    found = graph.constant(tensor)
    if found is None:
        raise ValueError(f"Tensor '{graph.name(tensor)}' is no constant.")
    return found.astype(np.float64)
