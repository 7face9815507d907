"""Defects of constants, and what LiteRT stumbles over."""

import numpy as np

from seeded.registry import seed
from seeded.surgery import OPS, behind_the_mean, bias_of, first, rescaled, weights_of


def changed(graph, tensor, place, value):
    values = graph.constant(tensor).copy()
    values[place] = value
    graph.set_constant(tensor, values)
    return graph


@seed("EP501", "a weight that is no number")
def _(bases):
    graph = bases.floats()
    return bases.foreign(changed(graph, weights_of(graph, "CONV_2D"), (2, 1, 1, 0), np.nan))


@seed("EP501", "an infinite bias")
def _(bases):
    graph = bases.floats()
    return bases.foreign(changed(graph, bias_of(graph, "FULLY_CONNECTED"), 1, np.inf))


@seed("EP502", "a dead filter of a convolution")
def _(bases):
    graph = bases.floats()
    return bases.foreign(changed(graph, weights_of(graph, "CONV_2D"), 3, 0))


@seed("EP502", "a dead channel of an int8 depthwise layer")
def _(bases):
    graph = bases.integers()
    return bases.foreign(changed(graph, weights_of(graph, "DEPTHWISE_CONV_2D"), np.s_[..., 3], 0))


@seed("EP503", "a filter of two steps")
def _(bases):
    graph = rescaled(bases.integers(), "CONV_2D", [0.005])
    values = graph.constant(weights_of(graph, "CONV_2D"))[4] % 5 - 2
    return bases.foreign(changed(graph, weights_of(graph, "CONV_2D"), 4, values))


@seed("EP504", "subnormal weights")
def _(bases):
    graph = bases.floats()
    return bases.foreign(changed(graph, weights_of(graph, "CONV_2D"), (2, 1, 1, 0), 1e-40))


@seed("EP505", "a bias at the end of int32")
def _(bases):
    graph = bases.integers()
    return bases.foreign(changed(graph, bias_of(graph, "CONV_2D"), 2, 2**31 - 1))


@seed("EP601", "an addition of unequal sides")
def _(bases):
    graph = bases.floats()
    graph.tensors[graph.given(first(graph, "ADD"))].shape = [1, 8, 8, 9]
    return bases.foreign(graph)


@seed("EP602", "an operator that no classifier has")
def _(bases):
    return bases.foreign(behind_the_mean(bases.floats(), OPS.SIN))
