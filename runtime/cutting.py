"""Some operators of a graph as a graph of their own, to be run apart from the rest."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime.graph import Graph


def part(graph: Graph, operators: Sequence[int], inputs: Sequence[int], output: int) -> Graph:
    """A graph of some operators and their constants, with these activations as its inputs."""
    found = [copy.copy(graph.operators[operator]) for operator in operators]
    wanted = [*inputs, *(int(t) for each in found for t in (*each.inputs, *each.outputs) if t >= 0)]
    places = {tensor: place for place, tensor in enumerate(dict.fromkeys(wanted))} | {-1: -1}
    cut, model = schema.SubGraphT(), schema.ModelT()
    model.version, model.operatorCodes, model.buffers = 3, graph.model.operatorCodes, [schema.BufferT()]
    cut.tensors = []
    for tensor in list(places)[:-1]:
        twin, values = copy.copy(graph.tensors[tensor]), graph.model.buffers[graph.tensors[tensor].buffer]
        twin.buffer = 0
        if values.data is not None and len(values.data):
            model.buffers.append(copy.copy(values))
            twin.buffer = len(model.buffers) - 1
        cut.tensors.append(twin)
    for each in found:
        each.inputs = [places[int(tensor)] for tensor in each.inputs]
        each.outputs = [places[int(tensor)] for tensor in each.outputs]
    cut.operators, cut.inputs, cut.outputs = found, [places[t] for t in inputs], [places[output]]
    model.subgraphs = [cut]
    whole = Graph(model)
    for number in range(len(found)):
        _free_batch(whole, number)
    return whole


def _free_batch(graph: Graph, operator: int) -> None:
    """Let a Reshape that was exported for a batch of 1 keep any batch."""
    if graph.kind(operator) != "RESHAPE" or len(graph.operators[operator].inputs) < 2:
        return
    shape = int(graph.operators[operator].inputs[1])
    values = graph.constant(shape)
    if values is not None and values[0] == 1 and (values > 0).all():
        graph.set_constant(shape, np.array([-1, *values[1:]]))
