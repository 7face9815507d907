"""How much memory a graph's activations need at the same time: what an arena must hold at the least."""

from __future__ import annotations

import math

import numpy as np

from edgeproof.runtime.graph import DTYPES, Graph


def arena_bytes(flatbuffer: bytes) -> int:
    """The largest sum of activations that are alive during one operator, for one picture; weights do not count.

    LiteRT may take more (gaps of its planner, kernels' own scratch memory, XNNPACK's workspace and packed weights).
    """
    graph = Graph.read(flatbuffer)
    taken = [graph.taken(number) for number in range(len(graph.operators))]
    last_use = {tensor: number for number, tensors in enumerate(taken) for tensor in tensors}
    last_use |= dict.fromkeys(graph.outputs, len(graph.operators))
    alive, most = set(graph.inputs), 0
    for number, operator in enumerate(graph.operators):
        alive |= {int(tensor) for tensor in operator.outputs}
        most = max(most, sum(_bytes(graph, tensor) for tensor in alive))
        alive = {tensor for tensor in alive if last_use.get(tensor, -1) > number}
    return most


def _bytes(graph: Graph, tensor: int) -> int:
    dtype = DTYPES.get(graph.tensors[tensor].type, np.float32)
    return math.prod(graph.shape(tensor)) * np.dtype(dtype).itemsize
