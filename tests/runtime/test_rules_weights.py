"""Which constants are odd, and which are not. Each rule's defect: tests/seeded."""

import numpy as np

from edgeproof.runtime.rules_weights import RULES


def changed(graph, kind, place, value):
    layer = next(n for n in range(len(graph.operators)) if graph.kind(n) == kind)
    tensor = int(graph.operators[layer].inputs[1])
    values = graph.constant(tensor).copy()
    values[place] = value
    graph.set_constant(tensor, values)
    return graph.packed()


def test_dead_filters_are_counted_along_the_side_that_has_the_filters(bases, rules_of):
    conv = changed(bases.floats(), "CONV_2D", np.s_[[1, 4]], 0)
    assert rules_of(RULES, conv)["EP502"].startswith("2 filters are zero: 2 of 8 in 0 CONV_2D")
    depthwise = changed(bases.floats(), "DEPTHWISE_CONV_2D", np.s_[..., 5], 0)
    assert rules_of(RULES, depthwise)["EP502"].startswith("1 filters are zero: 1 of 24 in")
    # A row of zeros across all depthwise channels leaves every filter with weights.
    assert "EP502" not in rules_of(RULES, changed(bases.floats(), "DEPTHWISE_CONV_2D", np.s_[:, 0], 0))


def test_a_millionth_of_the_largest_is_dead_and_a_thousandth_is_not(bases, rules_of):
    layer = bases.floats()
    largest = np.abs(layer.constant(int(layer.operators[0].inputs[1]))).max()
    assert "EP502" in rules_of(RULES, changed(bases.floats(), "CONV_2D", 1, largest * 1e-7))
    assert "EP502" not in rules_of(RULES, changed(bases.floats(), "CONV_2D", 1, largest * 1e-3))


def test_filters_with_scales_of_their_own_are_not_crushed(bases, rules_of):
    content = changed(bases.integers(), "CONV_2D", 4, 2)
    assert "EP503" not in rules_of(RULES, content)


def test_zero_is_not_subnormal(bases, rules_of):
    assert "EP504" not in rules_of(RULES, changed(bases.floats(), "CONV_2D", (2, 1, 1, 0), 0))
    assert rules_of(RULES, changed(bases.floats(), "CONV_2D", (2, 1, 1, 0), 1e-40))["EP504"].startswith("1 of 216")


def test_how_many_weights_are_no_numbers_is_told(bases, rules_of):
    found = rules_of(RULES, changed(bases.floats(), "CONV_2D", np.s_[3], np.nan))
    assert found["EP501"].startswith("27 of 216")
