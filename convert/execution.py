"""Runs a graph operator by operator on many pictures, through LiteRT's kernels, so that every activation can be seen.

A float and a quantised graph can be run side by side, and constants changed just before their operator runs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeproof.runtime import cutting
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.graph import WEIGHTED, Graph

# Pictures in one invocation: activations of the early layers stay within the cache's reach.
BATCH = 50
# XNNPACK refuses to multiply the sums of an operator by so much.
XNNPACK_LIMIT = 256


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

    @property
    def held(self) -> Mapping[int, NDArray[Any]]:
        """The activations that operators to come still need, by the number of their tensor."""
        return self._values

    def real(self, tensor: int) -> NDArray[np.float32]:
        """An activation in real units."""
        return self.graph.real(tensor, self._values[tensor])

    def computed(self, operator: int, *, without_activation: bool = False) -> NDArray[Any]:
        """What an operator gives for the present values of its inputs; nothing is kept."""
        given = self.graph.given(operator)
        return evaluate(
            self.graph,
            [operator],
            self._values,
            given,
            activated=not without_activation,
            num_threads=self._num_threads,
        )

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


def evaluate(
    graph: Graph,
    operators: Sequence[int],
    values: Mapping[int, NDArray[Any]],
    output: int,
    *,
    activated: bool = True,
    num_threads: int = 2,
) -> NDArray[Any]:
    """What a tensor is when these operators alone run, on the activations in `values` that they need.

    Unless `activated`, the operators lack their fused activations.
    """
    made = {graph.given(operator) for operator in operators}
    inputs = list(dict.fromkeys(t for operator in operators for t in graph.taken(operator) if t not in made))
    part = cutting.part(graph, operators, inputs, output)
    if not activated:
        for each in part.operators:
            each.builtinOptions = copy.copy(each.builtinOptions)
            each.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    return _run(part, [values[tensor] for tensor in inputs], num_threads)


def _run(graph: Graph, inputs: list[NDArray[Any]], num_threads: int) -> NDArray[Any]:
    content, delegated = graph.packed(), all(_fits_xnnpack(graph, number) for number in range(len(graph.operators)))
    # Other operators than Reshape may have the batch of 1 baked in too; and LiteRT's own kernels take what XNNPACK
    # refuses.
    for batch, attempted in dict.fromkeys(((BATCH, delegated), (1, delegated), (BATCH, False))):
        try:
            return _in_batches(_interpreter(content, num_threads, attempted), inputs, batch)
        except (RuntimeError, ValueError):
            continue
    return _in_batches(_interpreter(content, num_threads, False), inputs, 1)


def _fits_xnnpack(graph: Graph, operator: int) -> bool:
    """Whether XNNPACK takes the scales of an operator; LiteRT may crash after it refused one among others."""
    if graph.kind(operator) not in WEIGHTED:
        return True
    tensors = (*map(int, graph.operators[operator].inputs[:2]), graph.given(operator))
    if any(graph.is_float(tensor) for tensor in tensors):
        return True
    taken, weights, given = (graph.affine(tensor).scale for tensor in tensors)
    return bool((taken * weights / given).max() < XNNPACK_LIMIT)


def _interpreter(content: bytes, num_threads: int, delegated: bool) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.AUTO if delegated else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with silenced():
        return Interpreter(model_content=content, num_threads=num_threads, experimental_op_resolver_type=kernels)


def _in_batches(interpreter: Any, inputs: list[NDArray[Any]], batch: int) -> NDArray[Any]:
    taken, given = interpreter.get_input_details(), interpreter.get_output_details()[0]
    if batch > 1 and not all(_has_batch(details["shape"]) for details in (*taken, given)):
        raise ValueError("A tensor has no axis for pictures.")
    parts, size = [], 0
    for start in range(0, len(inputs[0]), batch):
        chosen = [np.ascontiguousarray(values[start : start + batch]) for values in inputs]
        if len(chosen[0]) != size:
            size = len(chosen[0])
            for details, values in zip(taken, chosen, strict=True):
                shape = values.shape if batch > 1 else details["shape"]
                interpreter.resize_tensor_input(details["index"], shape)
            with silenced():
                interpreter.allocate_tensors()
        for details, values in zip(taken, chosen, strict=True):
            interpreter.set_tensor(details["index"], values if batch > 1 else values.reshape(details["shape"]))
        interpreter.invoke()
        found = interpreter.get_tensor(given["index"])
        single = given["shape"][1:] if _has_batch(given["shape"]) else given["shape"]
        # Broadcasting may make more of a batch than there is.
        if found.size != size * np.prod(single):
            raise ValueError(f"Expected {size} answers of shape {single}, got {found.shape}.")
        parts.append(found.reshape(size, *single))
    return np.concatenate(parts)


def _has_batch(shape: Sequence[int]) -> bool:
    """Whether a tensor's first axis is for pictures: the converter drops axes of length 1 from small feature maps."""
    return len(shape) > 1 and shape[0] == 1
