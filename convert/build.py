"""One recipe's flatbuffer, from what its model's recipes share."""

from __future__ import annotations

from edgeproof.convert import interface, quantiser
from edgeproof.convert.preparation import Preparation
from edgeproof.convert.recipes import DYNAMIC, FLOAT16, FLOAT32, INT8, INT16X8, WEIGHTS8, Dtype, Recipe
from edgeproof.convert.repair import install
from edgeproof.runtime.graph import Graph

# TFLite's own dynamic-range recipe leaves smaller tensors in float: they cost accuracy and save nothing.
LEAST_WEIGHTS = 1024


def build(
    recipe: Recipe,
    preparation: Preparation,
    *,
    taken: Dtype | None = None,
    given: Dtype | None = None,
    in_float: tuple[int, ...] = (),
) -> bytes:
    """The flatbuffer of a recipe; `taken` and `given` replace the types that it takes and gives by itself.

    `in_float` are operators of the float graph that int8 leaves in float. Raises `ModelError` when a quantiser
    cannot.
    """
    wanted = given or recipe.output
    graph = _graph(recipe, preparation, in_float, integer_output=wanted != "float32")
    interface.with_input(graph, taken or recipe.input)
    interface.with_output(graph, wanted)
    return graph.packed()


def _graph(recipe: Recipe, preparation: Preparation, in_float: tuple[int, ...], *, integer_output: bool) -> Graph:
    if recipe == FLOAT32:
        return Graph.read(preparation.float32)
    if recipe == FLOAT16:
        return quantiser.float16(Graph.read(preparation.float32))
    if recipe == INT8:
        return preparation.int8(in_float=in_float, integer_output=integer_output)
    if recipe == INT16X8:
        graph = quantiser.static(preparation.graph, preparation.ranges(bits=16), activation_bits=16)
    elif recipe == DYNAMIC:
        graph = quantiser.dynamic(preparation.graph, least_weights=LEAST_WEIGHTS)
    elif recipe == WEIGHTS8:
        graph = quantiser.weights8(preparation.graph)
    else:
        raise ValueError(f"Expected a recipe that is built from the float graph, got {recipe.name}.")
    if preparation.steps.bias:
        _install(graph, preparation)
    if recipe == INT16X8:
        quantiser.narrow_biases(graph)
    return graph


def _install(graph: Graph, preparation: Preparation) -> None:
    """Put in the weights that were rounded for float activations, where the graph holds a layer's in int8."""
    for operator in range(len(graph.operators)):
        found = preparation.weights.layers.get(graph.name(graph.given(operator)))
        if found is not None and not _stays_float(graph, operator):
            install(graph, operator, found)


def _stays_float(graph: Graph, operator: int) -> bool:
    return graph.constant(int(graph.operators[operator].inputs[1])) is not None and graph.is_float(
        int(graph.operators[operator].inputs[1])
    )
