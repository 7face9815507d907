"""The corpus: sound small files with one seeded defect each, and what the doctor must say of every one."""

import copy
import dataclasses
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image

from edgeproof.runtime import contract, doctor, modelfile, testset
from edgeproof.runtime.errors import ConfigError, DataError, ModelError

ROOT = Path(__file__).parents[2]
OPS, TYPES = schema.BuiltinOperator, schema.TensorType
NAMES = ("red", "green", "blue", "grey")
# Those of the tiny model: a row a class over the mean of red, green and blue.
WEIGHTS = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2], [0, 0, 0]], np.float32) / 32
BIAS = np.array([0, 0, 0, 1.5], np.float32)
SEEDS = {}


def seed(rule, name):
    """Register a maker of a file's bytes (and perhaps a labels file) that must be found by a rule."""

    def register(maker):
        SEEDS[f"{rule} {name}"] = (rule, maker)
        return maker

    return register


# --- surgery ------------------------------------------------------------------------------------------------


def first(graph, kind):
    """The first operator of a kind."""
    return next(n for n in range(len(graph.operators)) if graph.kind(n) == kind)


def weights_of(graph, kind):
    """The weights' tensor of the first layer of a kind."""
    return int(graph.operators[first(graph, kind)].inputs[1])


def bias_of(graph, kind):
    return int(graph.operators[first(graph, kind)].inputs[2])


def code(graph, builtin, *, custom=None, version=1):
    """A new operator code's number."""
    added = schema.OperatorCodeT()
    added.builtinCode, added.deprecatedBuiltinCode = builtin, min(builtin, 127)
    added.customCode, added.version = custom, version
    graph.model.operatorCodes.append(added)
    return len(graph.model.operatorCodes) - 1


def tensor_like(graph, number, *, dtype=None, values=None, shape=None, scale=None, zero=0):
    """A new tensor's number; a constant where there are values."""
    added = copy.copy(graph.tensors[number])
    added.name = f"added {len(graph.tensors)}".encode()
    added.buffer, added.quantization, added.shapeSignature = 0, None, None
    added.type = added.type if dtype is None else dtype
    added.shape = added.shape if shape is None else shape
    if values is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        graph.model.buffers.append(buffer)
        added.buffer, added.shape = len(graph.model.buffers) - 1, list(values.shape)
    if scale is not None:
        set_scales(added, np.atleast_1d(scale), np.full(np.size(scale), zero))
    graph.tensors.append(added)
    return len(graph.tensors) - 1


def set_scales(tensor, scales, zeros, axis=0):
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.asarray(scales, np.float32)
    tensor.quantization.zeroPoint = np.asarray(zeros, np.int64)
    tensor.quantization.quantizedDimension = axis


def insert(graph, place, builtin, inputs, outputs, options=None, **code_options):
    operator = schema.OperatorT()
    operator.opcodeIndex = code(graph, builtin, **code_options)
    operator.inputs, operator.outputs = inputs, outputs
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    graph.operators.insert(place, operator)


def between(graph, tensor, makers):
    """Put operators behind an activation; each maker turns a tensor into the next. Its takers get the last."""
    takers = graph.consumers(tensor)
    place, given = min(takers), tensor
    steps = []
    for maker in makers:
        given, step = maker(given)
        steps.append(step)
    for taker in takers:
        graph.operators[taker].inputs = [given if int(t) == tensor else int(t) for t in graph.operators[taker].inputs]
    for number, step in enumerate(steps):
        insert(graph, place + number, *step)


def replaced(archive_of, name, content):
    """A packed file with one appended file replaced, added or (None) removed, packed as it was."""
    files, start = modelfile._attachments(archive_of, None)
    files = {**files, name: content}
    return modelfile.pack(archive_of[:start], {n: c for n, c in files.items() if c is not None})


# --- the file -----------------------------------------------------------------------------------------------


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


# --- metadata and labels ------------------------------------------------------------------------------------


@seed("EP201", "a float input without metadata")
def _(bases):
    return bases.floats().packed()


@seed("EP202", "metadata of -1 to 1 beside a contract of 0 to 255")
def _(bases):
    return bases.ours(bases.floats(), said={"mean": (127.5,), "std": (127.5,), "files": ("labels.txt",)})


@seed("EP202", "a deviation of zero")
def _(bases):
    return bases.foreign(bases.floats(), std=(0.0,))


@seed("EP203", "metadata of -1 to 1 on a uint8 input of scale 1")
def _(bases):
    return bases.foreign(bases.integers(), mean=(127.5,), std=(127.5,))


@seed("EP204", "grey pictures for three channels")
def _(bases):
    return bases.foreign(bases.floats(), colour=2)


@seed("EP205", "metadata of two inputs")
def _(bases):
    return bases.foreign(bases.floats(), inputs=2)


@seed("EP206", "metadata of another kind")
def _(bases):
    return bases.foreign(bases.floats()).replace(b"M001", b"X001")


@seed("EP207", "labels dropped by a tool that rewrote the model")
def _(bases):
    return bases.described(bases.floats())


@seed("EP208", "three labels for four outputs")
def _(bases):
    return bases.foreign(bases.floats(), names=("red", "green", "blue"))


@seed("EP208", "a labels file of five")
def _(bases):
    return bases.foreign(bases.floats()), "red\ngreen\nblue\ngrey\nblack\n"


@seed("EP209", "a background class first")
def _(bases):
    return bases.foreign(bases.floats(), names=("background", "green", "blue", "grey"))


@seed("EP210", "numbers for labels")
def _(bases):
    return bases.foreign(bases.floats(), names=("0", "1", "2", "3"))


@seed("EP211", "labels sorted as text")
def _(bases):
    return bases.foreign(bases.floats(), names=("class 1", "class 10", "class 2", "class 3"))


@seed("EP212", "a label twice")
def _(bases):
    return bases.foreign(bases.floats(), names=("red", "green", "green", "grey"))


@seed("EP213", "a label with a blank behind it")
def _(bases):
    return bases.foreign(bases.floats(), names=("red", "green ", "blue", "grey"))


@seed("EP214", "a contract of another size")
def _(bases):
    return bases.ours(bases.floats(), size=32)


@seed("EP215", "a contract of another scale")
def _(bases):
    graph = bases.integers()
    wrong = contract.TensorFormat(name="pixels", shape=(1, 16, 16, 3), dtype="uint8", scale=1 / 255, zero_point=0)
    return bases.ours(graph, input=wrong)


# --- the graph ----------------------------------------------------------------------------------------------


def custom(bases, name):
    graph = bases.floats()
    tensor = graph.given(first(graph, "MEAN"))
    given = tensor_like(graph, tensor)
    between(graph, tensor, [lambda taken: (given, (OPS.CUSTOM, [taken], [given]))])
    graph.model.operatorCodes[-1].customCode = name
    return bases.foreign(graph)


@seed("EP301", "an operator of TensorFlow")
def _(bases):
    return custom(bases, "FlexErf")


@seed("EP302", "an operator of somebody's own")
def _(bases):
    return custom(bases, "MyAttention")


@seed("EP303", "the postprocessing of detectors")
def _(bases):
    return custom(bases, "TFLite_Detection_PostProcess")


@seed("EP304", "a convolution of version 99")
def _(bases):
    graph = bases.floats()
    graph.model.operatorCodes[graph.operators[first(graph, "CONV_2D")].opcodeIndex].version = 99
    return bases.foreign(graph)


@seed("EP304", "an operator that LiteRT does not run")
def _(bases):
    graph = bases.floats()
    tensor = graph.given(first(graph, "MEAN"))
    given = tensor_like(graph, tensor)
    between(graph, tensor, [lambda taken: (given, (OPS.STABLEHLO_TANH, [taken], [given]))])
    return bases.foreign(graph)


@seed("EP305", "a reshape to one row")
def _(bases):
    graph = bases.floats()
    tensor = graph.given(first(graph, "MEAN"))
    shape = tensor_like(graph, tensor, dtype=TYPES.INT32, values=np.array([1, 32], np.int32))
    given = tensor_like(graph, tensor)
    between(graph, tensor, [lambda taken: (given, (OPS.RESHAPE, [taken, shape], [given], schema.ReshapeOptionsT()))])
    return bases.foreign(graph)


@seed("EP306", "a batch of any size")
def _(bases):
    graph = bases.floats()
    graph.tensors[graph.inputs[0]].shapeSignature = [-1, 16, 16, 3]
    return bases.foreign(graph)


@seed("EP307", "two outputs")
def _(bases):
    graph = bases.floats()
    graph.outputs = [*graph.outputs, graph.given(first(graph, "MEAN"))]
    return graph.packed()


@seed("EP308", "two subgraphs")
def _(bases):
    graph = bases.floats()
    graph.model.subgraphs.append(copy.deepcopy(graph.model.subgraphs[0]))
    graph.model.subgraphs[1].inputs, graph.model.subgraphs[1].outputs = graph.inputs, graph.outputs
    return bases.foreign(graph)


@seed("EP309", "channels first")
def _(bases):
    graph = bases.floats()
    pixels = graph.inputs[0]
    turned = tensor_like(graph, pixels)
    order = tensor_like(graph, pixels, dtype=TYPES.INT32, values=np.array([0, 2, 3, 1], np.int32))
    options = schema.TransposeOptionsT()
    between(graph, pixels, [lambda taken: (turned, (OPS.TRANSPOSE, [taken, order], [turned], options))])
    graph.tensors[pixels].shape = [1, 3, 16, 16]
    return graph.packed()


@seed("EP310", "batch norm behind a convolution")
def _(bases):
    graph = bases.floats()
    layer = next(n for n in range(len(graph.operators)) if graph.kind(n) == "CONV_2D" and graph.activation(n) == "NONE")
    tensor = graph.given(layer)
    factors = tensor_like(graph, tensor, values=np.linspace(0.5, 1.5, graph.shape(tensor)[3]).astype(np.float32))
    given = tensor_like(graph, tensor)
    between(graph, tensor, [lambda taken: (given, (OPS.MUL, [taken, factors], [given], schema.MulOptionsT()))])
    return bases.foreign(graph)


@seed("EP311", "no softmax")
def _(bases):
    graph = bases.floats()
    graph.outputs = [graph.given(first(graph, "FULLY_CONNECTED"))]
    del graph.operators[first(graph, "SOFTMAX")]
    return bases.foreign(graph)


@seed("EP312", "an operator whose result nobody takes")
def _(bases):
    graph = bases.floats()
    tensor = graph.given(first(graph, "MEAN"))
    insert(graph, len(graph.operators), OPS.ABS, [tensor], [tensor_like(graph, tensor)], schema.AbsOptionsT())
    return bases.foreign(graph)


# --- quantisation -------------------------------------------------------------------------------------------


def islanded(bases, *, inside):
    """Behind the first convolution of int8: to float, something, and back."""
    graph = bases.integers()
    tensor = graph.given(first(graph, "CONV_2D"))
    real = tensor_like(graph, tensor, dtype=TYPES.FLOAT32)
    shown = tensor_like(graph, tensor, dtype=TYPES.FLOAT32) if inside else real
    back = tensor_like(graph, tensor, scale=graph.affine(tensor).scale[0], zero=graph.affine(tensor).zero_point[0])
    steps = [lambda taken: (real, (OPS.DEQUANTIZE, [taken], [real], schema.DequantizeOptionsT()))]
    if inside:
        steps.append(lambda taken: (shown, (OPS.ABS, [taken], [shown], schema.AbsOptionsT())))
    steps.append(lambda taken: (back, (OPS.QUANTIZE, [taken], [back], schema.QuantizeOptionsT())))
    between(graph, tensor, steps)
    return bases.foreign(graph)


@seed("EP401", "a float layer between integer ones")
def _(bases):
    return islanded(bases, inside=True)


@seed("EP402", "dequantise and quantise")
def _(bases):
    return islanded(bases, inside=False)


def hybrid(bases, kind):
    graph = bases.floats()
    tensor = weights_of(graph, kind)
    values = graph.constant(tensor)
    steps = np.abs(values.reshape(len(values), -1)).max(axis=1) / 127
    shape = (len(values),) + (1,) * (values.ndim - 1)
    graph.tensors[tensor].type = TYPES.INT8
    graph.set_constant(tensor, np.rint(values / steps.reshape(shape)))
    set_scales(graph.tensors[tensor], steps, np.zeros(len(steps)))
    return bases.foreign(graph)


@seed("EP403", "a dense layer with int8 weights")
def _(bases):
    return hybrid(bases, "FULLY_CONNECTED")


@seed("EP404", "a convolution with int8 weights")
def _(bases):
    return hybrid(bases, "CONV_2D")


def rescaled(graph, kind, scales):
    """Give a layer's weights other scales, and its bias what fits to them."""
    operator = graph.operators[first(graph, kind)]
    weights, bias = graph.tensors[int(operator.inputs[1])], graph.tensors[int(operator.inputs[2])]
    step = graph.affine(int(operator.inputs[0])).scale[0]
    axis = weights.quantization.quantizedDimension
    set_scales(weights, scales, np.zeros(len(scales)), axis)
    set_scales(bias, np.asarray(scales) * step, np.zeros(len(scales)))
    return graph


@seed("EP405", "one scale for all depthwise channels")
def _(bases):
    return bases.foreign(rescaled(bases.integers(), "DEPTHWISE_CONV_2D", [0.005]))


@seed("EP406", "an input scale of calibration without white")
def _(bases):
    graph = bases.integers()
    set_scales(graph.tensors[graph.inputs[0]], [0.87], [0])
    return bases.foreign(graph, std=(1 / 0.87,))


@seed("EP407", "a softmax in steps of 1/128")
def _(bases):
    graph = bases.integers()
    set_scales(graph.tensors[graph.given(first(graph, "SOFTMAX"))], [1 / 128], [-128])
    return bases.foreign(graph)


@seed("EP408", "twelve classes in one byte")
def _(bases):
    return bases.foreign(bases.integers(12), names=tuple("abcdefghijkl"))


@seed("EP409", "float16 weights")
def _(bases):
    graph = bases.floats()
    tensor = weights_of(graph, "CONV_2D")
    half = tensor_like(graph, tensor, dtype=TYPES.FLOAT16, values=graph.constant(tensor).astype(np.float16))
    graph.tensors[tensor].buffer = 0
    insert(graph, 0, OPS.DEQUANTIZE, [half], [tensor], schema.DequantizeOptionsT())
    return bases.foreign(graph)


@seed("EP410", "a range of -20 to 20 behind a ReLU6")
def _(bases):
    graph = bases.integers()
    for kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        set_scales(graph.tensors[graph.given(first(graph, kind))], [40 / 255], [0])
    rescaled(graph, "DEPTHWISE_CONV_2D", graph.affine(weights_of(graph, "DEPTHWISE_CONV_2D")).scale)
    return bases.foreign(graph)


for _name, _value in {"zero": 0.0, "negative": -0.01, "not a number": np.nan, "subnormal": 1e-42}.items():

    @seed("EP451", f"a scale that is {_name}")
    def _(bases, value=_value):
        graph = bases.integers()
        graph.tensors[graph.given(first(graph, "MEAN"))].quantization.scale = np.array([value], np.float32)
        return bases.foreign(graph)


@seed("EP452", "a zero point of 300")
def _(bases):
    graph = bases.integers()
    set_scales(graph.tensors[graph.given(first(graph, "MEAN"))], [6 / 255], [300])
    return bases.foreign(graph)


@seed("EP453", "seven scales for eight channels")
def _(bases):
    graph = bases.integers()
    set_scales(graph.tensors[weights_of(graph, "CONV_2D")], np.full(7, 0.01), np.zeros(7))
    return bases.foreign(graph)


@seed("EP454", "int8 weights with a zero point")
def _(bases):
    graph = bases.integers()
    weights = graph.tensors[weights_of(graph, "CONV_2D")]
    set_scales(weights, weights.quantization.scale, [0, 0, 0, 5, 0, 0, 0, 0])
    return bases.foreign(graph)


@seed("EP455", "a bias in steps ten times too large")
def _(bases):
    graph = bases.integers()
    bias = graph.tensors[bias_of(graph, "CONV_2D")]
    set_scales(bias, 10 * bias.quantization.scale, np.zeros(8))
    return bases.foreign(graph)


@seed("EP456", "sums a thousand times coarser than the output")
def _(bases):
    graph = bases.integers()
    return bases.foreign(rescaled(graph, "CONV_2D", np.full(8, 1000 * 6 / 255)))


@seed("EP457", "a reshape that changes the scale")
def _(bases):
    graph = bases.integers()
    tensor = graph.given(first(graph, "MEAN"))
    shape = tensor_like(graph, tensor, dtype=TYPES.INT32, values=np.array([-1, 8], np.int32))
    given = tensor_like(graph, tensor, scale=0.05, zero=-128)
    bias = graph.tensors[bias_of(graph, "FULLY_CONNECTED")]
    set_scales(bias, bias.quantization.scale * 0.05 / (6 / 255), np.zeros(4))
    between(graph, tensor, [lambda taken: (given, (OPS.RESHAPE, [taken, shape], [given], schema.ReshapeOptionsT()))])
    return bases.foreign(graph)


# --- weights and loading ------------------------------------------------------------------------------------


def changed(graph, tensor, place, value):
    values = graph.constant(tensor).copy()
    values[place] = value
    graph.set_constant(tensor, values)
    return graph


@seed("EP501", "a weight that is no number")
def _(bases):
    graph = bases.floats()
    return bases.foreign(changed(graph, weights_of(graph, "CONV_2D"), (2, 1, 1, 0), np.nan))


@seed("EP501", "an infinite bias")
def _(bases):
    graph = bases.floats()
    return bases.foreign(changed(graph, bias_of(graph, "FULLY_CONNECTED"), 1, np.inf))


@seed("EP502", "a dead filter of a convolution")
def _(bases):
    graph = bases.floats()
    return bases.foreign(changed(graph, weights_of(graph, "CONV_2D"), 3, 0))


@seed("EP502", "a dead channel of an int8 depthwise layer")
def _(bases):
    graph = bases.integers()
    return bases.foreign(changed(graph, weights_of(graph, "DEPTHWISE_CONV_2D"), np.s_[..., 3], 0))


@seed("EP503", "a filter of two steps")
def _(bases):
    graph = rescaled(bases.integers(), "CONV_2D", [0.005])
    values = graph.constant(weights_of(graph, "CONV_2D"))[4] % 5 - 2
    return bases.foreign(changed(graph, weights_of(graph, "CONV_2D"), 4, values))


@seed("EP504", "subnormal weights")
def _(bases):
    graph = bases.floats()
    return bases.foreign(changed(graph, weights_of(graph, "CONV_2D"), (2, 1, 1, 0), 1e-40))


@seed("EP505", "a bias at the end of int32")
def _(bases):
    graph = bases.integers()
    return bases.foreign(changed(graph, bias_of(graph, "CONV_2D"), 2, 2**31 - 1))


@seed("EP601", "an addition of unequal sides")
def _(bases):
    graph = bases.floats()
    graph.tensors[graph.given(first(graph, "ADD"))].shape = [1, 8, 8, 9]
    return bases.foreign(graph)


@seed("EP602", "an operator that no classifier has")
def _(bases):
    graph = bases.floats()
    tensor = graph.given(first(graph, "MEAN"))
    given = tensor_like(graph, tensor)
    between(graph, tensor, [lambda taken: (given, (OPS.SIN, [taken], [given]))])
    return bases.foreign(graph)


@pytest.fixture(scope="session")
def examined(bases, tmp_path_factory):
    """What the doctor says of every seed, by the seed's name."""
    folder, reports = tmp_path_factory.mktemp("corpus"), {}
    for number, (name, (_, maker)) in enumerate(SEEDS.items()):
        made = maker(bases)
        content, names = made if isinstance(made, tuple) else (made, None)
        path, given = folder / f"{number}.tflite", folder / f"{number}.txt"
        path.write_bytes(content)
        if names:
            given.write_text(names)
        reports[name] = doctor.examine(path, labels=given if names else None)
    return reports


@pytest.mark.parametrize("name", SEEDS)
def test_a_seeded_defect_is_found_by_its_rule(name, examined):
    assert SEEDS[name][0] in {finding.rule for finding in examined[name].findings}, examined[name].findings


def test_the_corpus_is_large_and_touches_every_rule_about_files():
    rules = {rule for rule, _ in SEEDS.values()}
    assert len(SEEDS) >= 40
    # Answers have pictures of their own in test_rules_answers.py; a file that passes every check and that LiteRT
    # refuses all the same is in test_rules_loading.py.
    assert {rule.id for rule in doctor.STATIC} == rules


@pytest.mark.parametrize("kind", ["floats", "integers"])
@pytest.mark.parametrize("maker", ["foreign", "ours"])
def test_nothing_but_the_missing_contract_is_found_in_a_sound_file(bases, tmp_path, kind, maker):
    path = tmp_path / "sound.tflite"
    path.write_bytes(getattr(bases, maker)(getattr(bases, kind)()))
    report = doctor.examine(path)
    assert [finding.rule for finding in report.findings] == (["EP112"] if maker == "foreign" else [])
    assert not report.fails("warning")


def test_findings_come_the_worst_first_and_the_limit_decides_what_fails(examined):
    report = examined["EP451 a scale that is zero"]
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert report.fails("error")
    assert not report.fails("never")
    warned = examined["EP502 a dead filter of a convolution"]
    assert not warned.fails("error")
    assert warned.fails("warning")


def test_a_file_that_failed_the_check_is_not_given_to_litert(examined):
    for name, report in examined.items():
        rules = {finding.rule for finding in report.findings}
        assert not ("EP603" in rules and "EP601" in rules), name


def test_no_such_file_is_an_error_of_the_user(tmp_path):
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        doctor.examine(tmp_path / "none.tflite")


def test_no_such_labels_file_is_an_error_of_the_user(tiny_model_path, tmp_path):
    with pytest.raises(DataError, match="labels cannot be read"):
        doctor.examine(tiny_model_path, labels=tmp_path / "none.txt")


def test_ranges_cannot_be_tried_without_pictures(tiny_model_path):
    with pytest.raises(ConfigError, match="--try-ranges needs labelled pictures"):
        doctor.examine(tiny_model_path, try_ranges=True)


@pytest.mark.parametrize("step", range(0, 100, 7))
def test_a_file_cut_anywhere_or_with_any_byte_changed_is_examined_without_a_traceback(bases, tmp_path, step):
    whole = bases.foreign(bases.integers())
    path = tmp_path / "damaged.tflite"
    path.write_bytes(whole[: len(whole) * step // 100])
    assert doctor.examine(path).fails("error")
    draw = np.random.default_rng(step)
    for _ in range(5):
        changed = bytearray(whole)
        for place in draw.integers(0, len(whole), 8):
            changed[place] = draw.integers(256)
        path.write_bytes(bytes(changed))
        doctor.examine(path)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Pictures of the four colours that the tiny model tells apart, as a folder a class."""
    folder, draw = tmp_path_factory.mktemp("colours"), np.random.default_rng(1)
    for name, colour in zip(NAMES, ((200, 40, 40), (40, 200, 40), (40, 40, 200), (120, 120, 120)), strict=True):
        (folder / name).mkdir()
        for number in range(8):
            pixels = (np.array(colour) + draw.integers(-30, 31, (8, 8, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_the_answers_of_a_sound_file_are_told(tiny_model_path, colours):
    report = doctor.examine(tiny_model_path, data=colours)
    assert report.answers.images == 32
    assert report.answers.top1 == 1.0
    assert report.answers.fed == "0 to 255, RGB"
    assert report.ranges is None
    assert not report.fails("error")


def test_the_range_of_somebody_elses_float_model_is_found(make_flatbuffer, colours, tmp_path):
    # The tiny model's logits are sums of bytes: of bytes / 255 they are the same where weights are 255 times larger.
    content = make_flatbuffer(quantised=False, weights=WEIGHTS * 255, bias=BIAS)
    path = tmp_path / "theirs.tflite"
    path.write_bytes(content)
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\ngrey\n")
    report = doctor.examine(path, labels=tmp_path / "labels.txt", data=colours, try_ranges=True)
    assert report.ranges.trials[0].feed == "0 to 1, RGB"
    assert report.ranges.input_range == (0.0, 1.0)
    assert report.ranges.confidence > 0.9
    assert "--input-range=0,1" in report.ranges.sentence
    assert report.answers.top1 == 1.0
    # Nothing in the file says what it takes, so the likeliest is taken, and said to be an assumption.
    assert any("0 to 1, RGB" in each for each in report.answers.assumed)


def test_swapped_channels_are_told(make_packed, make_flatbuffer, colours, tmp_path):
    path = tmp_path / "bgr.tflite"
    path.write_bytes(make_packed(make_flatbuffer(quantised=False, weights=WEIGHTS[:, ::-1]), quantised=False))
    report = doctor.examine(path, data=colours, try_ranges=True)
    assert report.ranges.trials[0].feed == "0 to 255, BGR"
    assert report.ranges.input_range is None
    assert "EP705" in {finding.rule for finding in report.findings}


def test_a_model_that_cannot_be_run_is_not_run_on_pictures(colours, bases, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(SEEDS["EP601 an addition of unequal sides"][1](bases))
    report = doctor.examine(path, data=colours)
    assert report.answers is None
    assert report.unanswered == "the file cannot be run"


def test_what_is_no_classifier_of_pictures_is_not_tried_on_them(bases, colours, tmp_path):
    path = tmp_path / "two.tflite"
    path.write_bytes(SEEDS["EP307 two outputs"][1](bases))
    assert "no classifier of pictures" in doctor.examine(path, data=colours).unanswered


def test_a_runs_pictures_are_brought_to_the_order_of_the_models_labels(tiny_model_path, tiny_pictures, tmp_path):
    order = ("grey", "blue", "green", "red")
    testset.write(tmp_path / "test.npz", tiny_pictures.relabelled(order))
    assert doctor.examine(tiny_model_path, data=tmp_path).answers.top1 == 0.9
    others = dataclasses.replace(tiny_pictures, labels=("a", "b", "c", "d"))
    testset.write(tmp_path / "test.npz", others)
    with pytest.raises(DataError, match="its labels are not the model's"):
        doctor.examine(tiny_model_path, data=tmp_path)


def test_a_model_of_grey_pictures_is_not_run(colours, bases, tmp_path):
    graph = bases.floats()
    weights = int(graph.operators[0].inputs[1])
    graph.tensors[graph.inputs[0]].shape = [1, 16, 16, 1]
    values = graph.constant(weights)[..., :1]
    graph.tensors[weights].shape = list(values.shape)
    graph.set_constant(weights, values)
    path = tmp_path / "grey.tflite"
    path.write_bytes(graph.packed())
    report = doctor.examine(path, data=colours)
    assert not report.fails("error")
    assert "Expected (1, height, width, 3)" in report.unanswered


def test_labels_that_do_not_fit_the_outputs_are_refused_for_pictures(make_flatbuffer, colours, tmp_path):
    path = tmp_path / "five.tflite"
    path.write_bytes(
        make_flatbuffer(quantised=False, weights=np.ones((5, 3), np.float32), bias=np.zeros(5, np.float32))
    )
    with pytest.raises(DataError, match="4 labels for 5 outputs"):
        doctor.examine(path, data=colours)


def test_every_rule_has_an_id_of_its_own_and_says_what_to_do():
    ids = [rule.id for rule in doctor.RULES]
    assert len(set(ids)) == len(ids) >= 25
    for rule in doctor.RULES:
        assert rule.title[0].isupper() or rule.title.startswith(("edgeproof", "int8", "8-bit")), rule.title
        assert not rule.title.endswith("."), rule.title
        assert rule.remedy.endswith("."), rule.id


def test_the_documentation_has_a_section_for_every_rule_with_its_severity_and_remedy():
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (EP\d+): (.*)$", text, re.M))
    assert sections == {rule.id: rule.title for rule in doctor.RULES}
    for rule in doctor.RULES:
        section = text.split(f"### {rule.id}: ")[1].split("\n### ")[0].split("\n## ")[0]
        words = " ".join(section.split())
        assert f"**{rule.severity}**" in words, rule.id
        assert rule.remedy in words, rule.id
        assert len(words) > len(rule.title) + len(rule.remedy) + 60, f"{rule.id} is not explained"
