import numpy as np
import pytest

from edgeproof.benchmarks import profiling
from edgeproof.runtime import ModelError
from edgeproof.runtime.graph import Graph


@pytest.fixture
def question(tiny_model_path, pixels_path):
    return profiling.Question(model=str(tiny_model_path), pictures=str(pixels_path), input_range=(0.0, 255.0))


def test_every_operator_is_timed_with_its_kind_in_the_graph_s_order(question, tiny_flatbuffer):
    graph = Graph.read(tiny_flatbuffer)
    found = profiling.profile(question)
    assert [each.kind for each in found.operators] == [graph.kind(n) for n in range(len(graph.operators))]
    assert all(len(each.samples_ns) == question.calls for each in found.operators)
    assert len(found.whole_ns) == question.calls


def test_a_file_that_is_no_model_is_told_by_the_process(question, tmp_path):
    path = tmp_path / "none.tflite"
    path.write_bytes(b"none")
    other = profiling.Question(model=str(path), pictures=question.pictures)
    with pytest.raises(ModelError, match=r"operators one by one: .* is no TFLite model"):
        profiling.profile(other)


def test_integers_are_profiled_too(tiny_int8_path, pixels_path):
    question = profiling.Question(model=str(tiny_int8_path), pictures=str(pixels_path), input_range=(0.0, 255.0))
    assert np.all([min(each.samples_ns) > 0 for each in profiling.timed(question).operators])
