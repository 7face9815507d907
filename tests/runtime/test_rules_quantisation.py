"""What counts as a usual input range, and which steps can tie. Each rule's defect: tests/seeded."""

import numpy as np
import pytest

from edgeproof.runtime.rules_quantisation import RULES


@pytest.mark.parametrize(("scale", "zero", "usual"), [
    (1.0, 0, True), (1 / 255, 0, True), (2 / 255, 127, True), (2 / 255, 128, True), (1 / 128, 128, True),
    (0.9, 0, False), (0.0035, 0, False), (0.0186, 114, False),
])  # fmt: skip
def test_the_range_of_a_byte_input_is_one_that_people_use(bases, rules_of, scale, zero, usual):
    graph = bases.integers()
    graph.tensors[graph.inputs[0]].quantization.scale = np.array([scale], np.float32)
    graph.tensors[graph.inputs[0]].quantization.zeroPoint = np.array([zero])
    assert ("EP406" not in rules_of(RULES, graph.packed())) == usual


def test_a_file_with_a_contract_must_take_bytes_as_they_are(bases, rules_of):
    graph = bases.integers()
    graph.tensors[graph.inputs[0]].quantization.scale = np.array([1 / 255], np.float32)
    assert "EP406" in rules_of(RULES, bases.ours(graph))
    assert "EP406" not in rules_of(RULES, bases.ours(bases.integers()))


def test_few_classes_may_share_a_byte(bases, rules_of):
    assert "EP408" not in rules_of(RULES, bases.integers(9).packed())
    assert rules_of(RULES, bases.integers(10).packed())["EP408"].startswith("10 classes share 256 values")


def test_the_range_of_a_relu6_is_not_too_wide(bases, rules_of):
    graph = bases.integers()
    assert "EP410" not in rules_of(RULES, graph.packed())
    layer = next(n for n in range(len(graph.operators)) if graph.kind(n) == "CONV_2D")
    graph.tensors[graph.given(layer)].quantization.scale = np.array([7 / 255], np.float32)
    assert "EP410" not in rules_of(RULES, graph.packed())
    graph.tensors[graph.given(layer)].quantization.scale = np.array([9 / 255], np.float32)
    assert "67% of the steps" in rules_of(RULES, graph.packed())["EP410"]
