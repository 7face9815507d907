import msgspec
import numpy as np
import pytest

from edgeproof.runtime import contract, inspection
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.inspection import Inspection


@pytest.fixture
def inspect(tmp_path):
    """Inspect bytes."""

    def run(content):
        path = tmp_path / "some.tflite"
        path.write_bytes(content)
        return inspection.inspect(path)

    return run


def test_every_part_of_a_file_is_told(inspect, bases):
    content = bases.ours(bases.integers())
    found = inspect(content)
    assert found.size_bytes == len(content)
    assert found.flatbuffer_sha256 == contract.sha256(content[: found.flatbuffer_bytes]) == found.contract.model_sha256
    assert [each.name for each in found.appended] == ["labels.txt", "edgeproof.json"]
    assert found.labels == bases.names
    assert found.metadata.name == "small"
    assert found.troubles == {}
    graph = found.graph
    assert graph.kinds["CONV_2D"] == 1
    assert sum(graph.kinds.values()) == len(graph.operators)
    assert graph.arithmetic == inspection.Arithmetic(
        float_layers=0, integer_layers=3, hybrid_layers=0, per_channel=3, per_tensor=0
    )
    taken = graph.tensors[graph.inputs[0]]
    assert (taken.name, taken.dtype, taken.shape, taken.constant_bytes) == ("pixels", "uint8", (1, 16, 16, 3), 0)
    assert (taken.scales.count, taken.scales.least_scale, taken.scales.zero_points) == (1, 1.0, (0,))


def test_scales_of_each_channel_are_told_with_their_ends(inspect, bases):
    graph = bases.integers()
    layer = next(n for n in range(len(graph.operators)) if graph.kind(n) == "DEPTHWISE_CONV_2D")
    weights = int(graph.operators[layer].inputs[1])
    scales = inspect(graph.packed()).graph.tensors[weights].scales
    assert (scales.count, scales.axis, scales.zero_points) == (8, 3, (0,))
    assert scales.least_scale == pytest.approx(graph.affine(weights).scale.min())
    assert scales.largest_scale == pytest.approx(graph.affine(weights).scale.max())


def test_an_operator_is_told_with_its_tensors_and_what_is_fused_into_it(inspect, bases):
    graph = bases.floats()
    first = inspect(graph.packed()).graph.operators[0]
    assert (first.kind, first.version, first.activation, first.custom) == ("CONV_2D", 1, "RELU6", False)
    assert first.inputs == tuple(int(each) for each in graph.operators[0].inputs)


def test_a_damaged_file_is_told_as_far_as_it_goes(inspect, bases):
    found = inspect(bases.foreign(bases.floats())[:-1])
    assert found.graph is not None
    assert "zip begins" in found.troubles["archive"]
    assert inspect(bases.floats().packed()[:500]).graph is None
    assert inspect(b"no model").troubles == {"mark": "8 bytes without the mark TFL3"}


def test_a_document_is_read_again_as_the_same(inspect, bases):
    found = inspect(bases.ours(bases.integers()))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inspection) == found


def test_a_scale_that_is_no_number_is_none_of_json_either(inspect, bases):
    graph = bases.integers()
    graph.tensors[graph.given(0)].quantization.scale = np.array([np.nan], np.float32)
    found = inspect(graph.packed())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inspection) == found


def test_no_such_file_is_an_error_of_the_user(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        inspection.inspect(tmp_path / "none.tflite")
