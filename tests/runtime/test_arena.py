from itertools import pairwise

from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.arena import arena_bytes
from edgeproof.runtime.graph import Graph


def test_the_arena_holds_an_operator_s_input_and_output_and_no_weights(tiny_flatbuffer):
    graph = Graph.read(tiny_flatbuffer)
    activations = [graph.inputs[0], *(graph.given(number) for number in range(len(graph.operators)))]
    sizes = []
    for tensor in activations:
        size = 4
        for side in graph.shape(tensor):
            size *= side
        sizes.append(size)
    # A chain: what lives is an operator's input and its output.
    assert arena_bytes(Anatomy(graph)) == max(one + other for one, other in pairwise(sizes))


def test_a_byte_takes_a_byte_and_a_float_four(make_flatbuffer):
    # Its first operator turns 8×8 pixels of three bytes into floats.
    assert arena_bytes(Anatomy(Graph.read(make_flatbuffer(quantised=True)))) == 8 * 8 * 3 * (1 + 4)
