"""Runs a graph operator by operator on many pictures, through LiteRT's kernels, so that every activation can be seen.

A float and a quantised graph can be run side by side, and constants changed just before their operator runs.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeproof.convert.graph import Graph
from edgeproof.runtime.chatter import silenced

# Pictures in one invocation: activations of the early layers stay within the cache's reach.
BATCH = 50


class Execution:
    """A run under way: the activations that later operators still need, by the number of their tensor."""

    def __init__(self, graph: Graph, values: NDArray[Any], *, num_threads: int = 2) -> None:
        self.graph = graph
        self._num_threads = num_threads
        self._values: dict[int, NDArray[Any]] = {graph.inputs[0]: values}
        self._last_use = {tensor: number for number in range(len(graph.operators)) for tensor in graph.taken(number)}

    def value(self, tensor: int) -> NDArray[Any]:
        """An activation, of shape (pictures, …), in the dtype that it has in the file."""
        return self._values[tensor]

    def real(self, tensor: int) -> NDArray[np.float32]:
        """An activation in real units."""
        return self.graph.real(tensor, self._values[tensor])

    def computed(self, operator: int, *, without_activation: bool = False) -> NDArray[Any]:
        """What an operator gives for the present values of its inputs; nothing is kept."""
        inputs = self.graph.taken(operator)
        content = _alone(self.graph, operator, inputs, without_activation=without_activation)
        return _run(content, [self._values[tensor] for tensor in inputs], self._num_threads)

    def advance(self, operator: int, given: NDArray[Any] | None = None) -> NDArray[Any]:
        """Run an operator (or take what it gives as known), keep its output, and drop what no later one takes."""
        found = self.computed(operator) if given is None else given
        self._values[self.graph.given(operator)] = found
        for tensor in self.graph.taken(operator):
            if self._last_use[tensor] == operator:
                self._values.pop(tensor, None)
        return found


def as_input(graph: Graph, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Pixels as a graph's input takes them, for the float, uint8 and int8 inputs that edgeproof makes."""
    dtype = graph.tensors[graph.inputs[0]].type
    if dtype == schema.TensorType.INT8:
        return (pixels ^ np.uint8(128)).view(np.int8)
    return pixels if dtype == schema.TensorType.UINT8 else pixels.astype(np.float32)


def _alone(graph: Graph, operator: int, inputs: list[int], *, without_activation: bool) -> bytes:
    """A flatbuffer of one operator, its constants, and these activations as inputs."""
    found = copy.copy(graph.operators[operator])
    wanted = [*inputs, *(int(t) for t in found.inputs if t >= 0 and int(t) not in inputs), *map(int, found.outputs)]
    places = {tensor: place for place, tensor in enumerate(dict.fromkeys(wanted))} | {-1: -1}
    part, model = schema.SubGraphT(), schema.ModelT()
    model.version, model.operatorCodes, model.buffers = 3, graph.model.operatorCodes, [schema.BufferT()]
    part.tensors = []
    for tensor in list(places)[:-1]:
        twin, values = copy.copy(graph.tensors[tensor]), graph.model.buffers[graph.tensors[tensor].buffer]
        twin.buffer = 0
        if values.data is not None and len(values.data):
            model.buffers.append(values)
            twin.buffer = len(model.buffers) - 1
        part.tensors.append(twin)
    found.inputs = [places[int(tensor)] for tensor in found.inputs]
    found.outputs = [places[int(tensor)] for tensor in found.outputs]
    if without_activation:
        found.builtinOptions = copy.copy(found.builtinOptions)
        found.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    part.operators, part.inputs, part.outputs = [found], [places[t] for t in inputs], found.outputs[:1]
    model.subgraphs = [part]
    return Graph(model).packed()


def _run(content: bytes, inputs: list[NDArray[Any]], num_threads: int) -> NDArray[Any]:
    from ai_edge_litert.interpreter import Interpreter

    with silenced():
        interpreter = Interpreter(model_content=content, num_threads=num_threads)
    try:
        return _in_batches(interpreter, inputs, BATCH)
    except (RuntimeError, ValueError):
        # A Reshape may have the batch of 1 baked in.
        return _in_batches(interpreter, inputs, 1)


def _in_batches(interpreter: Any, inputs: list[NDArray[Any]], batch: int) -> NDArray[Any]:
    places = [details["index"] for details in interpreter.get_input_details()]
    given = interpreter.get_output_details()[0]["index"]
    parts, size = [], 0
    for start in range(0, len(inputs[0]), batch):
        chosen = [np.ascontiguousarray(values[start : start + batch]) for values in inputs]
        if len(chosen[0]) != size:
            size = len(chosen[0])
            for place, values in zip(places, chosen, strict=True):
                interpreter.resize_tensor_input(place, values.shape)
            interpreter.allocate_tensors()
        for place, values in zip(places, chosen, strict=True):
            interpreter.set_tensor(place, values)
        interpreter.invoke()
        found = interpreter.get_tensor(given)
        if len(found) != size:
            raise ValueError(f"Expected {size} answers, got {len(found)}.")
        parts.append(found)
    return np.concatenate(parts)
