import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.convert import interface, quantiser
from edgeproof.convert.execution import Execution, as_input
from edgeproof.runtime import ModelError
from edgeproof.runtime.graph import WEIGHTED, Graph
from edgeproof.runtime.interpreter import Runner

pytest.importorskip("litert_quantizer", reason="needs the train extra")


def ranges_of(graph, pixels):
    run, found = Execution(graph, as_input(graph, pixels)), {graph.inputs[0]: (0.0, 255.0)}
    for operator in range(len(graph.operators)):
        values = run.advance(operator)
        found[graph.given(operator)] = (min(float(values.min()), 0.0), max(float(values.max()), 0.0))
    return found


@pytest.fixture(scope="module")
def graph(residual):
    return residual(uneven=0.3)


@pytest.fixture(scope="module")
def ranges(graph, coloured):
    return ranges_of(graph, coloured(40, 16))


@pytest.fixture(scope="module")
def made(graph, ranges):
    return {
        "float16": quantiser.float16(graph),
        "dynamic": quantiser.dynamic(graph),
        "weights8": quantiser.weights8(graph),
        "int8": quantiser.static(graph, ranges),
        "int16x8": quantiser.static(graph, ranges, activation_bits=16),
    }


def types(graph, kinds=WEIGHTED):
    """(weights, what goes in, what comes out) of the layers of some kinds, through a DEQUANTIZE of the weights."""
    names = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    found = set()
    for number, operator in enumerate(graph.operators):
        if graph.kind(number) in kinds:
            weights = int(operator.inputs[1])
            maker = graph.producer(weights)
            stored = weights if maker is None else int(graph.operators[maker].inputs[0])
            ends = (int(operator.inputs[0]), graph.given(number))
            found.add((names[graph.tensors[stored].type], *(names[graph.tensors[t].type] for t in ends)))
    return found


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("float16", ("float16", "float32", "float32")),
        ("dynamic", ("int8", "float32", "float32")),
        ("weights8", ("int8", "float32", "float32")),
        ("int8", ("int8", "int8", "int8")),
        ("int16x8", ("int8", "int16", "int16")),
    ],
)
def test_each_recipe_has_the_types_of_its_name(recipe, expected, made):
    assert types(made[recipe]) == {expected}


@pytest.mark.parametrize("recipe", ["float16", "dynamic", "weights8", "int8", "int16x8"])
def test_each_recipe_gives_about_what_the_float_graph_gives(recipe, made, graph, coloured):
    pixels, found = coloured(60, 16, seed=1), Graph.read(made[recipe].packed())
    interface.with_input(found, "uint8")
    interface.with_output(found, "float32")
    expected = Runner(graph.packed()).probabilities(pixels)
    given = Runner(found.packed()).probabilities(pixels)
    assert (given.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.85
    assert np.abs(given - expected).mean() < 0.06


def test_weights_have_a_scale_for_each_channel(made):
    graph = made["int8"]
    scales = [
        len(graph.affine(int(graph.operators[i].inputs[1])).scale)
        for i in range(len(graph.operators))
        if graph.kind(i) in WEIGHTED
    ]
    assert scales == [8, 8, 24, 24, 8, 24, 24, 8, 32, 4]


def test_activations_have_the_ranges_that_were_given(graph, ranges, made):
    target = made["int8"]
    places = {target.name(tensor): tensor for tensor in range(len(target.tensors))}
    checked = 0
    for tensor, (low, high) in ranges.items():
        if graph.producer(tensor) is not None and graph.kind(graph.producer(tensor)) != "SOFTMAX":
            affine = target.affine(places[graph.name(tensor)])
            assert float(affine.scale[0]) == pytest.approx((high - low) / 255, rel=1e-3)
            checked += 1
    assert checked > 10


def float_layers(graph):
    """The names and sizes of the weights of layers that have them in float."""
    layers = [i for i in range(len(graph.operators)) if graph.kind(i) in WEIGHTED]
    weights = {graph.name(graph.given(i)): int(graph.operators[i].inputs[1]) for i in layers}
    return {name: graph.constant(t).size for name, t in weights.items() if graph.is_float(t)}


def test_small_tensors_stay_float_where_that_is_asked_for(graph):
    found = float_layers(quantiser.dynamic(graph, least_weights=200))
    assert set(found.values()) == {64, 128, 192}
    assert float_layers(quantiser.dynamic(graph)) == {}


def test_operators_that_are_to_stay_float_do_and_the_others_not(graph, ranges):
    found = quantiser.static(graph, ranges, in_float=(3, 4))
    assert set(float_layers(found)) == {graph.name(graph.given(3)), graph.name(graph.given(4))}
    assert {found.kind(i) for i in range(len(found.operators))} >= {"DEQUANTIZE", "QUANTIZE"}
    others = [i for i in range(len(found.operators)) if found.kind(i) in ("ADD", "MEAN")]
    assert not any(found.is_float(found.given(i)) for i in others)


def test_a_name_that_begins_another_is_held_apart(graph, ranges):
    """Operator 1's output is conv_2d1; those of 10 … 19 begin with the same letters."""
    names = [graph.name(graph.given(i)) for i in range(len(graph.operators))]
    short = next(i for i, name in enumerate(names) if any(o != name and o.startswith(name) for o in names))
    assert set(float_layers(quantiser.static(graph, ranges, in_float=(short,)))) == {names[short]}


def test_a_float_head_gives_float_answers_from_int8_weights(graph, ranges):
    found = quantiser.static(graph, ranges, float_head=True)
    dense = next(i for i in range(len(found.operators)) if found.kind(i) == "FULLY_CONNECTED")
    assert found.constant(int(found.operators[dense].inputs[1])).dtype == np.int8
    assert found.is_float(found.given(dense))
    softmax = next(i for i in range(len(found.operators)) if found.kind(i) == "SOFTMAX")
    assert found.is_float(found.given(softmax))
    assert types(found, ("CONV_2D", "DEPTHWISE_CONV_2D")) == {("int8", "int8", "int8")}


def test_additions_of_16_bits_promise_no_powers_of_two(made):
    graph = made["int16x8"]
    additions = [graph.operators[i] for i in range(len(graph.operators)) if graph.kind(i) == "ADD"]
    assert len(additions) == 2
    assert not any(operator.builtinOptions.potScaleInt16 for operator in additions)


# --- biases ---------------------------------------------------------------------------------------------------------


def bias_types(graph):
    return {
        graph.name(graph.given(i)): graph.constant(int(graph.operators[i].inputs[2])).dtype.name
        for i in range(len(graph.operators))
        if graph.kind(i) in WEIGHTED
    }


def runner(graph):
    found = Graph.read(graph.packed())
    interface.with_input(found, "uint8")
    interface.with_output(found, "float32")
    return Runner(found.packed())


def test_narrow_biases_give_the_same_and_depthwise_layers_keep_theirs(graph, ranges, coloured):
    found, pixels = quantiser.static(graph, ranges, activation_bits=16), coloured(30, 16, seed=1)
    assert set(bias_types(found).values()) == {"int64"}
    before = runner(found).probabilities(pixels)
    assert quantiser.narrow_biases(found) == 8
    kinds = bias_types(found)
    assert {kind for name, kind in kinds.items() if name.startswith("depthwise")} == {"int64"}
    assert {kind for name, kind in kinds.items() if not name.startswith("depthwise")} == {"int32"}
    # The other kernels round the last of 16 bits in their own way.
    np.testing.assert_allclose(runner(found).probabilities(pixels), before, atol=1e-3)


def test_a_layer_whose_sum_could_overflow_keeps_its_wide_bias(new_layers, coloured):
    layers = new_layers(16)
    # 600 weights of 127 times 2^15 are more than 2^31.
    flat = layers.reshape(layers.pixels, (1, 768))
    given = layers.dense(flat, np.concatenate([np.ones((1, 768)), np.eye(768)[:1]]), np.zeros(2))
    wide = layers.graph(layers.dense(given, np.eye(2), np.zeros(2)))
    found = quantiser.static(wide, ranges_of(wide, coloured(8, 16)), activation_bits=16)
    assert quantiser.narrow_biases(found) == 1
    assert list(bias_types(found).values()) == ["int64", "int32"]


def test_biases_of_8_bit_activations_are_narrow_already(made):
    assert quantiser.narrow_biases(made["int8"]) == 0


# --- the head -------------------------------------------------------------------------------------------------------


def test_the_head_is_the_last_dense_layer_and_its_softmax(graph):
    found = quantiser.head(graph)
    assert [graph.kind(operator) for operator in found] == ["FULLY_CONNECTED", "SOFTMAX"]
    assert found[-1] == len(graph.operators) - 1


def test_the_head_of_a_model_of_logits_is_its_last_dense_layer(new_layers):
    layers = new_layers(4)
    hidden = layers.dense(layers.mean(layers.pixels), np.eye(3), np.zeros(3), activation="RELU")
    graph = layers.graph(layers.dense(hidden, np.eye(3), np.zeros(3)))
    assert quantiser.head(graph) == [2]


def test_a_model_without_a_dense_layer_at_its_end_has_no_head(new_layers):
    layers = new_layers(4)
    assert quantiser.head(layers.graph(layers.softmax(layers.mean(layers.pixels)))) == []
    layers = new_layers(4)
    dense = layers.dense(layers.mean(layers.pixels), np.eye(3), np.zeros(3))
    assert quantiser.head(layers.graph(layers.softmax(layers.add(dense, dense)))) == []


def test_what_the_quantiser_cannot_handle_is_told_in_one_line(graph):
    with pytest.raises(ModelError, match=r"^LiteRT's quantiser cannot handle the model \([^\n]+\)\.$"):
        quantiser.static(graph, {graph.inputs[0]: (0.0, 255.0)})


def test_the_quantiser_prints_nothing(graph, capfd):
    quantiser.weights8(graph)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("recipe", ["float16", "int8", "int8 with a float head"])
def test_openvinos_reader_takes_the_file_and_gives_litert_s_answers(recipe, made, graph, ranges, coloured, peer_script):
    pytest.importorskip("openvino", reason="needs the openvino extra")
    quantised = made.get(recipe) or quantiser.static(graph, ranges, float_head=True)
    found = Graph.read(quantised.packed())
    interface.with_input(found, "uint8")
    interface.with_output(found, "float32")
    script, pixels = peer_script("openvino_int8"), coloured(20, 16, seed=2)
    # Without VNNI, OpenVINO adds products of 8 bits in pairs that saturate at 16.
    content = script.in_seven_bits(found.packed())
    theirs, ours = script.openvino(content, pixels), Runner(content).probabilities(pixels)
    assert len(set(ours.argmax(axis=1))) > 2
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1)).all()
    np.testing.assert_allclose(theirs, ours, atol=0.05)
