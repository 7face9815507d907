"""How much memory a graph's activations need at the same time: what an arena must hold at the least."""

from __future__ import annotations

import math

import numpy as np

from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.graph import DTYPES


def arena_bytes(body: Anatomy) -> int:
    """The largest sum of activations that are alive during one operator, for one picture; weights do not count.

    LiteRT may take more (gaps of its planner, kernels' own scratch memory, XNNPACK's workspace and packed weights).
    """
    taken = [[tensor for tensor in tensors if tensor >= 0 and not body.stored(tensor)] for tensors in body.takes]
    last_use = {tensor: number for number, tensors in enumerate(taken) for tensor in tensors}
    last_use |= dict.fromkeys(body.outputs, len(body))
    alive, most = set(body.inputs), 0
    for number, given in enumerate(body.gives):
        alive |= set(given)
        most = max(most, sum(_bytes(body, tensor) for tensor in alive))
        alive = {tensor for tensor in alive if last_use.get(tensor, -1) > number}
    return most


def _bytes(body: Anatomy, tensor: int) -> int:
    """A side of any length counts as 1."""
    dtype = DTYPES.get(body.graph.tensors[tensor].type, np.float32)
    return math.prod(max(side, 1) for side in body.shape(tensor)) * np.dtype(dtype).itemsize
