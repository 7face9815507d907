import numpy as np
import pytest

from edgeproof.convert import metadata as written
from edgeproof.runtime import tflite_metadata
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.tflite_metadata import Normalisation


def test_what_edgeproof_writes_is_read_again():
    content = written.metadata(
        name="birds", description="Twelve birds.", size=(96, 64), author="somebody", license="MIT"
    )
    found = tflite_metadata.decode(content)
    assert (found.name, found.description, found.author, found.license) == ("birds", "Twelve birds.", "somebody", "MIT")
    assert (found.version, found.parser_version) == ("v1", "1.0.0")
    taken, given = found.inputs[0], found.outputs[0]
    assert (taken.content, taken.colour, taken.size) == ("image", "RGB", (96, 64))
    assert taken.normalisation == Normalisation(mean=(0.0,), std=(1.0,))
    assert (taken.largest, taken.least) == ((255.0,), (0.0,))
    assert [(file.name, file.kind) for file in given.files] == [("labels.txt", "AXIS_LABELS")]
    assert [file.name for file in found.all_files] == ["edgeproof.json", "labels.txt"]


def test_what_is_left_out_is_empty():
    found = tflite_metadata.decode(written.metadata(name="", description="", size=(1, 1)))
    assert (found.author, found.license) == ("", "")
    assert found.outputs[0].normalisation is None
    assert found.outputs[0].size is None


def test_means_of_each_channel_are_read(bases):
    graph = Graph.read(bases.described(bases.floats(), mean=(1, 2, 3), std=(4, 5, 6), colour=2))
    content = graph.model.buffers[graph.model.metadata[0].buffer].data.tobytes()
    taken = tflite_metadata.decode(content).inputs[0]
    assert taken.normalisation == Normalisation(mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    assert taken.colour == "GRAYSCALE"


def test_another_kind_of_flatbuffer_is_refused():
    content = written.metadata(name="", description="", size=(1, 1))
    with pytest.raises(ModelError, match="lacks the mark M001"):
        tflite_metadata.decode(content.replace(b"M001", b"TFL3"))
    with pytest.raises(ModelError, match="lacks the mark M001"):
        tflite_metadata.decode(b"")


def test_damaged_metadata_are_read_or_refused_and_nothing_else():
    content = written.metadata(name="birds", description="Twelve birds.", size=(96, 64))
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        changed = bytearray(content)
        place = int(draw.integers(8, len(content)))
        changed[place] = int(draw.integers(256))
        try:
            tflite_metadata.decode(bytes(changed))
        except ModelError as error:
            refused += "damaged" in str(error)
    assert refused > 20
