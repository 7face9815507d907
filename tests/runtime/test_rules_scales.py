"""How far scales may be off, as LiteRT tolerates it. Each rule's defect: tests/seeded."""

import numpy as np
import pytest

from edgeproof.runtime.rules_scales import RULES


def layer_of(graph, kind):
    return graph.operators[next(n for n in range(len(graph.operators)) if graph.kind(n) == kind)]


@pytest.mark.parametrize(("factor", "fits"), [(1.0001, True), (1.01, True), (1.03, False), (0.97, False)])
def test_a_bias_may_be_off_by_rounding(bases, rules_of, factor, fits):
    graph = bases.integers()
    bias = graph.tensors[int(layer_of(graph, "CONV_2D").inputs[2])]
    bias.quantization.scale = bias.quantization.scale * np.float32(factor)
    assert ("EP455" not in rules_of(RULES, graph.packed())) == fits


@pytest.mark.parametrize(("multiplier", "fits"), [(255.0, True), (257.0, False)])
def test_sums_may_be_up_to_256_times_coarser_than_the_output(bases, rules_of, multiplier, fits):
    graph = bases.integers()
    layer = layer_of(graph, "CONV_2D")
    weights, bias = (graph.tensors[int(layer.inputs[place])] for place in (1, 2))
    # The input's scale is 1.
    scales = weights.quantization.scale.copy()
    scales[0] = multiplier * 6 / 255
    weights.quantization.scale = bias.quantization.scale = scales
    assert ("EP456" not in rules_of(RULES, graph.packed())) == fits


def test_weights_of_older_uint8_files_may_have_a_zero_point(bases, rules_of):
    graph = bases.integers()
    weights = graph.tensors[int(layer_of(graph, "CONV_2D").inputs[1])]
    weights.type = 3  # uint8
    weights.quantization.zeroPoint = np.full(8, 128)
    assert "EP454" not in rules_of(RULES, graph.packed())


def test_the_smallest_normal_scale_is_a_scale(bases, rules_of):
    graph = bases.integers()
    tensor = graph.tensors[graph.given(0)]
    tensor.quantization.scale = np.array([np.finfo(np.float32).tiny], np.float32)
    assert "EP451" not in rules_of(RULES, graph.packed())
    tensor.quantization.scale = np.array([np.finfo(np.float32).tiny / 2], np.float32)
    assert "EP451" in rules_of(RULES, graph.packed())
