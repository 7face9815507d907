"""A file that every rule lets pass, and LiteRT does not; and what is not given to LiteRT."""

import numpy as np

from edgeproof.runtime import specimen
from edgeproof.runtime.rules_loading import LOADING, RULES, refusal


def test_litert_says_in_its_own_words_why_it_refuses_a_file(bases, rules_of):
    graph = bases.integers()
    softmax = next(n for n in range(len(graph.operators)) if graph.kind(n) == "SOFTMAX")
    graph.tensors[graph.given(softmax)].quantization.zeroPoint = np.array([5])
    content = graph.packed()
    assert rules_of(RULES, content) == {}
    assert "zero_point" in rules_of(LOADING, content)["EP603"]


def test_a_sound_file_is_loaded(bases, rules_of):
    assert rules_of(LOADING, bases.floats().packed()) == {}


def test_a_graph_that_contradicts_itself_is_not_given_to_litert(bases, rules_of):
    graph = bases.floats()
    graph.tensors[graph.given(0)].shape = [1, 8, 8, 9]
    content = graph.packed()
    assert "EP601" in rules_of(RULES, content)
    assert rules_of(LOADING, content) == {}


def test_what_edgeproof_does_not_run_is_a_note_and_no_error(bases, tmp_path, rules_of):
    graph = bases.floats()
    graph.outputs = [*graph.outputs, graph.given(0)]
    graph.tensors[graph.given(0)].isVariable = True
    path = tmp_path / "odd.tflite"
    path.write_bytes(graph.packed())
    assert refusal(specimen.opened(path))
    assert set(rules_of(RULES, graph.packed())) == {"EP602"}
