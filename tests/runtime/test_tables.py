import random
import struct

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime import ModelError
from edgeproof.runtime.tables import ENTRIES_LIMIT, MODEL, Tables


def read(content):
    return Tables(content).root(MODEL)


def test_what_is_read_is_what_the_schemas_own_code_reads(make_flatbuffer):
    content = make_flatbuffer(quantised=True)
    found, wanted = read(content), schema.ModelT.InitFromPackedBuf(content, 0)
    assert (found["version"], found["description"]) == (wanted.version, wanted.description.decode())
    assert [each["code"] for each in found["codes"]] == [each.builtinCode for each in wanted.operatorCodes]
    graph, subgraph = found["subgraphs"][0], wanted.subgraphs[0]
    for mine, theirs in zip(graph["tensors"], subgraph.tensors, strict=True):
        assert (mine["name"], mine["type"], mine["buffer"]) == (theirs.name.decode(), theirs.type, theirs.buffer)
        assert mine["shape"].tolist() == list(theirs.shape)
        if theirs.quantization is not None and theirs.quantization.scale is not None:
            assert mine["quantisation"]["scale"].tolist() == list(theirs.quantization.scale)
            assert mine["quantisation"]["zero_point"].tolist() == list(theirs.quantization.zeroPoint)
    for mine, theirs in zip(graph["operators"], subgraph.operators, strict=True):
        assert (mine["inputs"].tolist(), mine["outputs"].tolist()) == (list(theirs.inputs), list(theirs.outputs))
        assert mine["options_type"] == theirs.builtinOptionsType
    for (start, length), buffer in zip(
        (each["data"] or (0, 0) for each in found["buffers"]), wanted.buffers, strict=True
    ):
        assert content[start : start + length] == bytes(() if buffer.data is None else buffer.data)


def test_a_flatbuffer_that_is_cut_off_is_a_model_error_wherever(tiny_flatbuffer):
    for length in range(8, len(tiny_flatbuffer) - 1):
        with pytest.raises(ModelError, match=r"flatbuffer is damaged: .+, at byte \d+\. Get the file again"):
            # What is cut off at the end are the tables that are written first, and all of them are read.
            read(tiny_flatbuffer[:length])


@pytest.mark.parametrize("seed", range(4))
def test_changed_bytes_are_read_or_are_a_model_error_and_nothing_else(make_flatbuffer, seed):
    content, draw, outcomes = make_flatbuffer(quantised=True), random.Random(seed), set()
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(draw.choice([1, 4, 16])):
            damaged[draw.randrange(len(damaged))] = draw.choice([0, 1, 4, 127, 128, 255, draw.randrange(256)])
        try:
            read(bytes(damaged))
            outcomes.add("read")
        except ModelError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def with_number(content, place, number):
    return content[:place] + struct.pack("<I", number) + content[place + 4 :]


@pytest.mark.parametrize("offset", [0, 2**31, 2**32 - 1])
def test_a_root_outside_of_the_file_is_refused(tiny_flatbuffer, offset):
    with pytest.raises(ModelError, match=r"an offset that leads out of the file, at byte 0"):
        read(with_number(tiny_flatbuffer, 0, offset))


def test_a_table_whose_layout_lies_outside_of_the_file_is_refused(tiny_flatbuffer):
    (root,) = struct.unpack_from("<I", tiny_flatbuffer, 0)
    with pytest.raises(ModelError, match="a table without a layout"):
        read(with_number(tiny_flatbuffer, root, 2**31 - 1))


def test_a_table_that_does_not_lie_on_four_bytes_is_refused(tiny_flatbuffer):
    with pytest.raises(ModelError, match="a table outside of the file"):
        read(with_number(tiny_flatbuffer, 0, struct.unpack_from("<I", tiny_flatbuffer, 0)[0] + 2))


def test_a_list_that_is_longer_than_the_file_is_refused(tiny_flatbuffer):
    start = tiny_flatbuffer.index(struct.pack("<5i", 4, 1, 8, 8, 3))  # the input's shape with its length
    with pytest.raises(ModelError, match="a list that reaches out of the file"):
        read(with_number(tiny_flatbuffer, start, 10**6))


def test_a_name_without_an_end_is_refused(tiny_flatbuffer):
    start = tiny_flatbuffer.index(b"softmax\0")
    with pytest.raises(ModelError, match="a name without an end"):
        read(tiny_flatbuffer[: start + 7] + b"!" + tiny_flatbuffer[start + 8 :])


def test_more_tables_than_any_model_has_are_refused_before_they_are_read():
    builder = flatbuffers.Builder(1 << 20)
    builder.StartObject(3)
    code = builder.EndObject()
    builder.StartVector(4, ENTRIES_LIMIT + 1, 4)
    for _ in range(ENTRIES_LIMIT + 1):
        builder.PrependUOffsetTRelative(code)  # all of them lead to one table of 8 bytes
    codes = builder.EndVector()
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(1, codes, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    with pytest.raises(ModelError, match=rf"a list of {ENTRIES_LIMIT + 1} tables"):
        read(bytes(builder.Output()))


def test_fields_that_are_left_out_have_the_schemas_defaults():
    builder = flatbuffers.Builder(64)
    builder.StartObject(0)
    builder.Finish(builder.EndObject(), b"TFL3")
    found = read(bytes(builder.Output()))
    assert found["version"] == 0
    assert found["subgraphs"] == ()


def test_lists_are_views_of_the_file_and_no_copies(tiny_flatbuffer):
    shape = read(tiny_flatbuffer)["subgraphs"][0]["tensors"][0]["shape"]
    assert np.shares_memory(shape, np.frombuffer(tiny_flatbuffer, np.uint8))


def test_what_the_project_packs_can_be_read(residual):
    graph = residual()
    assert len(read(graph.packed())["subgraphs"][0]["operators"]) == len(graph.operators)
