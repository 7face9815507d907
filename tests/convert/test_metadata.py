import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types as types

from edgeproof.convert import metadata
from edgeproof.runtime import Classifier, graph, modelfile
from edgeproof.runtime.interpreter import Runner


class Table:
    """Reads a flatbuffer table by field number, without the code that wrote it."""

    def __init__(self, content, place):
        self.table = flatbuffers.table.Table(bytearray(content), place)

    @classmethod
    def root(cls, content):
        return cls(content, flatbuffers.encode.Get(types.UOffsetTFlags.packer_type, content, 0))

    def _at(self, field):
        return self.table.Offset(4 + 2 * field)

    def text(self, field):
        offset = self._at(field)
        return self.table.String(self.table.Pos + offset).decode() if offset else None

    def number(self, field, kind):
        offset = self._at(field)
        return self.table.Get(kind, self.table.Pos + offset) if offset else 0

    def inner(self, field):
        offset = self._at(field)
        return Table(self.table.Bytes, self.table.Indirect(self.table.Pos + offset))

    def inners(self, field):
        start, count = self._vector(field)
        return [Table(self.table.Bytes, self.table.Indirect(start + 4 * i)) for i in range(count)]

    def floats(self, field):
        start, count = self._vector(field)
        return [self.table.Get(types.Float32Flags, start + 4 * i) for i in range(count)]

    def _vector(self, field):
        offset = self._at(field)
        return (self.table.Vector(offset), self.table.VectorLen(offset)) if offset else (0, 0)


def content_of(flatbuffer):
    """The metadata in a model, as a reader of the ecosystem finds it: by the entry's name."""
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    entries = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    assert len(entries) == 1
    return bytes(model.buffers[entries[0].buffer].data)


@pytest.fixture(params=["float32", "int8"])
def exported(request, colour_exports):
    return modelfile.read(colour_exports / f"colours-{request.param}.tflite")


def test_an_exported_file_says_what_it_is(exported):
    content = content_of(exported.flatbuffer)
    assert content[4:8] == b"M001"
    root = Table.root(content)
    assert root.text(0) == exported.path.stem
    assert root.text(1).startswith("Image classifier of 4 classes")
    assert root.text(7) == "1.0.0"
    assert [file.text(0) for file in root.inners(6)] == ["edgeproof.json"]


def test_an_exported_file_names_its_labels_for_its_one_output(exported):
    outputs = Table.root(content_of(exported.flatbuffer)).inners(3)[0].inners(3)
    assert len(outputs) == 1
    files = outputs[0].inners(6)
    assert [(file.text(0), file.number(2, types.Uint8Flags)) for file in files] == [("labels.txt", 2)]
    assert exported.attachments["labels.txt"] == b"blue\ngreen\ngrey\nred\n"


def test_an_exported_file_takes_raw_rgb_pixels(exported):
    inputs = Table.root(content_of(exported.flatbuffer)).inners(3)[0].inners(2)
    assert len(inputs) == 1
    content = inputs[0].inner(3)
    assert content.number(0, types.Uint8Flags) == 2  # image properties
    picture = content.inner(1)
    assert picture.number(0, types.Uint8Flags) == 1  # RGB
    size = picture.inner(1)
    assert (size.number(0, types.Uint32Flags), size.number(1, types.Uint32Flags)) == (32, 32)
    unit = inputs[0].inners(4)[0]
    assert unit.number(0, types.Uint8Flags) == 1  # normalisation options
    assert (unit.inner(1).floats(0), unit.inner(1).floats(1)) == ([0], [1])
    statistics = inputs[0].inner(5)
    assert (statistics.floats(0), statistics.floats(1)) == ([255], [0])


def test_width_and_height_are_not_mixed_up():
    root = Table.root(metadata.metadata(name="n", description="d", size=(20, 30)))
    size = root.inners(3)[0].inners(2)[0].inner(3).inner(1).inner(1)
    assert (size.number(0, types.Uint32Flags), size.number(1, types.Uint32Flags)) == (30, 20)


def test_author_and_licence_are_written_where_they_are_given():
    for author, license in (("Ada", "MIT"), ("", "")):
        root = Table.root(metadata.metadata(name="größe", description="d", size=(8, 8), author=author, license=license))
        assert (root.text(0), root.text(4), root.text(5)) == ("größe", author or None, license or None)


def test_every_buffer_lies_on_a_16_byte_boundary_of_the_final_file(exported):
    whole = exported.path.read_bytes()
    model = schema.Model.GetRootAs(bytearray(whole), 0)
    places = []
    for number in range(model.BuffersLength()):
        data = model.Buffers(number).DataAsNumpy()
        if not isinstance(data, int) and len(data):
            places.append(model.Buffers(number)._tab.Vector(model.Buffers(number)._tab.Offset(4)))
    assert len(places) > 80
    assert [place for place in places if place % 16] == []


def test_buffers_of_odd_sizes_are_aligned_too(make_flatbuffer):
    odd = make_flatbuffer(quantised=False, weights=np.ones((3, 3), np.float32), bias=np.zeros(3, np.float32))
    described = metadata.with_metadata(odd, name="n" * 7, description="d", size=(8, 8))
    model = schema.Model.GetRootAs(bytearray(described), 0)
    fields = [model.Buffers(number)._tab for number in range(model.BuffersLength())]
    places = [table.Vector(table.Offset(4)) for table in fields if table.Offset(4)]
    assert len(places) == 4  # axes, weights, bias, metadata
    assert [place for place in places if place % 16] == []


def test_the_graph_runs_as_before(tiny_flatbuffer, tiny_pictures):
    described = metadata.with_metadata(tiny_flatbuffer, name="n", description="d", size=(8, 8))
    assert described[4:8] == b"TFL3"
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    np.testing.assert_array_equal(
        Runner(described).probabilities(pixels), Runner(tiny_flatbuffer).probabilities(pixels)
    )
    assert graph.quantisation(described) == graph.quantisation(tiny_flatbuffer)


def test_metadata_is_replaced_and_not_added_twice(tiny_flatbuffer):
    once = metadata.with_metadata(tiny_flatbuffer, name="old", description="d", size=(8, 8))
    twice = metadata.with_metadata(once, name="new", description="d", size=(8, 8))
    assert Table.root(content_of(twice)).text(0) == "new"


def test_an_exported_file_is_run_by_the_runtime(exported):
    answer = Classifier(exported.path).classify(np.full((32, 32, 3), (40, 40, 200), np.uint8))[0]
    assert answer.label == "blue"
