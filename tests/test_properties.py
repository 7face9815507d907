"""What must come back as it went in, whatever it is: quantised numbers, labels, contracts, archives."""

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="needs the dev extra (hypothesis)")
from hypothesis import given, strategies
from msgspec import structs

from edgeproof.runtime import DataError, contract, labels, modelfile
from edgeproof.runtime.interpreter import Runner

TEXT = strategies.text(strategies.characters(exclude_categories=("Cs",), exclude_characters="\n\r"), min_size=1)
NAMES = strategies.lists(TEXT.filter(str.strip), min_size=1, max_size=20, unique=True)


@given(NAMES)
def test_labels_come_back_from_their_text(names):
    found = names if not names[0].startswith("\ufeff") else [names[0].removeprefix("\ufeff"), *names[1:]]
    if len(set(found)) == len(found) and all(name.strip() for name in found):
        assert labels.parse(labels.text(names), "there") == tuple(found)


@given(NAMES, strategies.integers(0, 19))
def test_a_label_that_stands_twice_is_refused_wherever_it_stands(names, place):
    names = [f"x{name}" for name in names]
    with pytest.raises(DataError, match="stands twice"):
        labels.parse(labels.text([*names, names[place % len(names)]]), "there")


FILES = strategies.dictionaries(
    strategies.text("abcdefgh.-_é", min_size=1), strategies.binary(max_size=200), min_size=1, max_size=5
)


@given(FILES)
def test_appended_files_come_back_and_the_graph_stays_as_it_was(tiny_flatbuffer, tmp_path_factory, files):
    files = {f"f{name}": content for name, content in files.items()}
    path = tmp_path_factory.mktemp("packed") / "m.tflite"
    packed = modelfile.pack(tiny_flatbuffer, files)
    path.write_bytes(packed)
    read = modelfile.read(path, labels=("a", "b", "c", "d"))
    assert (read.flatbuffer, dict(read.attachments)) == (tiny_flatbuffer, files)
    assert modelfile.pack(read.flatbuffer, read.attachments) == packed


@given(name=TEXT, provenance=strategies.dictionaries(TEXT, TEXT, max_size=5), scale=strategies.floats(1e-6, 1e6))
def test_a_contract_comes_back_as_it_was_written(tiny_int8_bytes, tmp_path_factory, name, provenance, scale):
    path = tmp_path_factory.mktemp("contract") / "m.tflite"
    path.write_bytes(tiny_int8_bytes)
    before = modelfile.read(path).contract
    changed = structs.replace(
        before, name=name, provenance=provenance, output=structs.replace(before.output, scale=scale)
    )
    assert contract.decode(contract.encode(changed), "there") == changed


@given(
    scale=strategies.floats(1e-3, 1e3),
    zero_point=strategies.integers(-128, 127),
    values=strategies.lists(strategies.integers(-128, 127), min_size=1, max_size=32),
)
def test_integers_come_back_from_the_real_values_that_they_stand_for(new_graph, scale, zero_point, values):
    from edgeproof.runtime.graph import Graph

    kinds = pytest.importorskip("ai_edge_litert.schema_py_generated").TensorType
    parts = new_graph()
    tensor = parts.tensor("t", [len(values)], kinds.INT8, scale=scale, zero_point=zero_point)
    graph = Graph.read(parts.packed(tensor, tensor))
    real = graph.real(0, np.array(values, np.int8)).astype(np.float64)
    affine = graph.affine(0)
    back = np.rint(real / affine.scale[0]) + affine.zero_point[0]
    assert back.tolist() == values


def test_every_byte_comes_back_through_a_quantised_input_within_half_a_step(new_graph):
    """Through LiteRT: what a Runner puts into an int8 input, dequantised by the graph itself."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    for scale, zero_point in ((1.0, -128), (0.5, 0), (2.0, -128), (255 / 254, -127)):
        parts = new_graph()
        pixels = parts.tensor("pixels", [1, 1, 1, 3], schema.TensorType.INT8, scale=scale, zero_point=zero_point)
        flat = parts.operator(
            schema.BuiltinOperator.RESHAPE,
            [pixels, parts.tensor("shape", [2], schema.TensorType.INT32, values=np.array([1, 3], np.int32))],
            parts.tensor("flat", [1, 3], schema.TensorType.INT8, scale=scale, zero_point=zero_point),
            schema.BuiltinOptions.ReshapeOptions,
            schema.ReshapeOptionsT(),
        )
        runner = Runner(parts.packed(pixels, flat))
        reachable = (np.clip(np.arange(256), (-128 - zero_point) * scale, (127 - zero_point) * scale)).astype(
            np.float64
        )
        for byte in range(0, 256, 5):
            found = runner.probabilities(np.full((1, 1, 1, 3), byte, np.uint8))[0, 0]
            assert abs(found - reachable[byte]) <= scale / 2 + 1e-4
