import struct

import numpy as np
import pytest

from edgeproof.runtime import extents
from edgeproof.runtime.graph import Graph


def test_a_flatbuffer_reaches_just_to_its_end(tiny_flatbuffer, bases):
    for content in (tiny_flatbuffer, bases.described(bases.floats()), bases.integers().packed()):
        found = extents.measure(content)
        assert not found.broken
        assert len(content) - 8 < found.end <= len(content)


def test_what_stands_behind_it_does_not_count(tiny_flatbuffer):
    assert extents.measure(tiny_flatbuffer + b"\x05" * 999).end == extents.measure(tiny_flatbuffer).end


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.99])
def test_a_flatbuffer_that_is_cut_off_is_broken(tiny_flatbuffer, share):
    assert extents.measure(tiny_flatbuffer[: int(share * len(tiny_flatbuffer))]).broken


def test_buffers_lie_where_the_constants_are(bases):
    content = bases.integers().packed()
    graph, found = Graph.read(content), extents.measure(content)
    for number in range(len(graph.tensors)):
        values = graph.constant(number)
        if values is not None:
            start, size = found.buffers[graph.tensors[number].buffer]
            assert content[start : start + size] == np.ascontiguousarray(values).tobytes()
            assert start % 16 == 0


def test_a_vector_longer_than_the_file_takes_no_time(tiny_flatbuffer):
    changed = bytearray(tiny_flatbuffer)
    for place in range(0, len(changed) - 4, 4):
        changed[place : place + 4] = struct.pack("<I", 2**31)
        extents.measure(bytes(changed))
        changed[place : place + 4] = tiny_flatbuffer[place : place + 4]


def test_scales_that_reach_past_the_end_are_noticed(bases):
    graph = bases.integers()
    layer = next(n for n in range(len(graph.operators)) if graph.kind(n) == "CONV_2D")
    scales = graph.tensors[int(graph.operators[layer].inputs[1])].quantization.scale
    content = bytearray(graph.packed())
    length = content.index(np.asarray(scales, np.float32).tobytes()) - 4
    assert struct.unpack_from("<I", content, length) == (8,)
    content[length : length + 4] = struct.pack("<I", 10**6)
    assert extents.measure(bytes(content)).broken
