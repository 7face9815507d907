"""Defects of the file as a whole: bytes, archive, contract, packing."""

import io
import zipfile

import numpy as np

from seeded.registry import seed
from seeded.surgery import replaced, tensor_like, weights_of


@seed("EP101", "a text")
def _(bases):
    return b"this is a picture of a cat, and no model at all"


@seed("EP101", "an empty file")
def _(bases):
    return b""


@seed("EP102", "half of a file")
def _(bases):
    whole = bases.described(bases.floats(), files=())
    return whole[: len(whole) // 2]


@seed("EP102", "without its last hundred bytes")
def _(bases):
    return bases.described(bases.floats(), files=())[:-100]


@seed("EP103", "an operator takes a tensor that is not there")
def _(bases):
    graph = bases.floats()
    graph.operators[2].inputs = [999, *graph.operators[2].inputs[1:]]
    return bases.foreign(graph)


@seed("EP103", "an operator has a code that is not there")
def _(bases):
    graph = bases.floats()
    graph.operators[2].opcodeIndex = 99
    return bases.foreign(graph)


@seed("EP104", "weights too short")
def _(bases):
    graph = bases.floats()
    buffer = graph.model.buffers[graph.tensors[weights_of(graph, "CONV_2D")].buffer]
    buffer.data = buffer.data[:-40]
    return bases.foreign(graph)


@seed("EP105", "the archive is cut off")
def _(bases):
    return bases.ours(bases.floats())[:-60]


@seed("EP105", "a byte of the labels flipped")
def _(bases):
    whole = bytearray(bases.foreign(bases.floats()))
    whole[whole.rindex(b"green")] ^= 1
    return bytes(whole)


@seed("EP106", "a contract of a later format")
def _(bases):
    return bases.ours(bases.floats(), format=99)


@seed("EP106", "a contract that is no JSON")
def _(bases):
    return replaced(bases.ours(bases.floats()), "edgeproof.json", b'{"format": 1, "name"')


@seed("EP107", "one weight changed")
def _(bases):
    graph = bases.floats()
    whole = bytearray(bases.ours(graph))
    weights = np.asarray(graph.constant(weights_of(graph, "FULLY_CONNECTED")))
    whole[whole.index(weights.tobytes()) + 5] ^= 1
    return bytes(whole)


@seed("EP108", "other labels under the old contract")
def _(bases):
    return replaced(bases.ours(bases.floats()), "labels.txt", b"green\nred\nblue\ngrey\n")


@seed("EP109", "a file added with another tool")
def _(bases):
    whole = io.BytesIO(bases.ours(bases.floats()))
    with zipfile.ZipFile(whole, "a") as archive:
        archive.writestr("notes.md", b"made on Monday")
    return whole.getvalue()


@seed("EP110", "bytes behind the model")
def _(bases):
    return bases.described(bases.floats(), files=()) + b"\x07" * 500


@seed("EP111", "notes in the archive")
def _(bases):
    return replaced(bases.foreign(bases.floats()), "notes.md", b"made on Monday")


@seed("EP112", "no contract")
def _(bases):
    return bases.foreign(bases.floats())


@seed("EP113", "schema version 2")
def _(bases):
    graph = bases.floats()
    graph.model.version = 2
    return bases.foreign(graph)


@seed("EP114", "packed without alignment")
def _(bases):
    import flatbuffers

    model = bases.floats().model
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@seed("EP115", "a constant that nothing reads")
def _(bases):
    graph = bases.floats()
    tensor_like(graph, 0, values=np.arange(1024, dtype=np.float32))
    return bases.foreign(graph)


@seed("EP116", "weights stored twice")
def _(bases):
    graph = bases.floats()
    for shape in ((24, 1, 1, 8), (8, 1, 1, 24)):
        one, other = [t for t in range(len(graph.tensors)) if graph.shape(t) == shape]
        graph.set_constant(other, graph.constant(one))
    return bases.foreign(graph)
