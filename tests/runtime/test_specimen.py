import io
import zipfile

import pytest

from edgeproof.runtime import specimen
from edgeproof.runtime.errors import ModelError


@pytest.fixture
def opened(tmp_path):
    """Write bytes to a file and open it."""

    def open_(content, labels=None):
        path = tmp_path / "some.tflite"
        path.write_bytes(content)
        return specimen.opened(path, labels)

    return open_


def test_a_sound_file_has_all_its_parts(opened, bases):
    found = opened(bases.ours(bases.floats()))
    assert dict(found.troubles) == {}
    assert set(found.attachments) == {"labels.txt", "edgeproof.json"}
    assert found.labels == bases.names
    assert found.contract.model_sha256
    assert found.metadata.inputs[0].size == (16, 16)
    assert found.classes == 4
    assert found.anatomy.shape(found.image) == (1, 16, 16, 3)
    assert found.flatbuffer + found.content[found.archive_start :] == found.content


def test_labels_that_are_given_take_the_place_of_the_files(opened, bases):
    content = bases.ours(bases.floats())
    assert opened(content, "\ufeffa\r\nb\r\n\r\nc\n".encode()).labels == ("a", "b", "", "c")


def test_an_archive_of_nothing_is_no_part_of_the_model(opened, tiny_flatbuffer):
    whole = io.BytesIO(tiny_flatbuffer)
    with zipfile.ZipFile(whole, "a"):
        pass
    content = tiny_flatbuffer + whole.getvalue()[-22:]
    assert opened(content).archive_start == len(tiny_flatbuffer)


def test_the_parts_that_are_whole_are_kept_where_others_are_damaged(opened, bases):
    whole = bytearray(bases.ours(bases.floats()))
    whole[whole.rindex(b"green")] ^= 1
    found = opened(bytes(whole))
    assert "labels.txt" in found.troubles["archive"]
    assert found.contract is not None
    assert found.anatomy is not None


def test_a_cut_flatbuffer_has_no_anatomy(opened, tiny_flatbuffer):
    found = opened(tiny_flatbuffer[:-50])
    assert found.anatomy is None
    assert "bytes past the end" in found.troubles["reach"] or "outside" in found.troubles["reach"]


def test_a_model_of_several_outputs_is_no_classifier(opened, bases):
    graph = bases.floats()
    graph.outputs = [*graph.outputs, graph.given(0)]
    assert opened(graph.packed()).classes is None


def test_no_such_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        specimen.opened(tmp_path / "none.tflite")
