import numpy as np
import pytest

from edgeproof.convert import interface, quantiser, rounding
from edgeproof.convert.execution import Execution, as_input
from edgeproof.convert.repair import install, repair, windows
from edgeproof.convert.rounding import Rows
from edgeproof.runtime.graph import WEIGHTED, Graph
from edgeproof.runtime.interpreter import Runner


def ranges_of(graph, pixels):
    run, found = Execution(graph, as_input(graph, pixels)), {graph.inputs[0]: (0.0, 255.0)}
    for operator in range(len(graph.operators)):
        values = run.advance(operator)
        found[graph.given(operator)] = (min(float(values.min()), 0.0), max(float(values.max()), 0.0))
    return found


@pytest.fixture(scope="module")
def pixels(coloured):
    return coloured(80, 16)


@pytest.fixture(scope="module")
def graph(residual):
    return residual(uneven=0.8)


def answers(graph, pixels):
    found = Graph.read(graph.packed())
    interface.with_input(found, "uint8")
    interface.with_output(found, "float32")
    return Runner(found.packed()).probabilities(pixels)


def quantised(graph, pixels, **options):
    pytest.importorskip("litert_quantizer", reason="needs the train extra")
    return quantiser.static(graph, ranges_of(graph, pixels), **options)


# --- windows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(("size", "steps", "holes"), [(3, 1, 1), (3, 2, 1), (5, 2, 1), (3, 1, 2), (1, 2, 1), (2, 3, 1)])
@pytest.mark.parametrize("side", [8, 9])
def test_windows_times_weights_are_what_litert_gives(size, steps, holes, same, side, new_layers):
    draw, layers = np.random.default_rng(0), new_layers(side)
    weights = draw.standard_normal((4, size, size, 3)).astype(np.float32)
    given = layers.conv(layers.pixels, weights, np.zeros(4), stride=steps, dilation=holes, same=same)
    graph = layers.graph(given)
    values = draw.standard_normal((3, side, side, 3)).astype(np.float32)
    expected = Execution(graph, values).advance(0)
    places = np.unravel_index(np.arange(expected[..., 0].size), expected.shape[:3])
    seen = windows(values, places, (size, size), (steps, steps), (holes, holes), same=same)
    assert seen.shape == (len(places[0]), size, size, 3)
    found = seen.reshape(len(seen), -1) @ weights.reshape(4, -1).T
    np.testing.assert_allclose(found, expected.reshape(-1, 4), rtol=1e-4, atol=1e-4)


def test_windows_are_those_of_the_places_that_are_asked_for():
    values = np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4, 1)
    places = (np.array([1, 0]), np.array([0, 2]), np.array([3, 1]))
    found = windows(values, places, (3, 3), (1, 1), (1, 1), same=True)
    np.testing.assert_array_equal(found[0, ..., 0], [[0, 0, 0], [18, 19, 0], [22, 23, 0]])
    np.testing.assert_array_equal(found[1, ..., 0], values[0, 1:4, 0:3, 0])


# --- repair ---------------------------------------------------------------------------------------------------------


def test_a_repaired_int8_graph_answers_more_like_the_float_one(graph, pixels, coloured):
    unseen = coloured(200, 16, seed=3)
    expected = answers(graph, unseen)
    assert len(set(expected.argmax(axis=1).tolist())) == 4
    target = quantised(graph, pixels)
    before = np.abs(answers(target, unseen) - expected).mean()
    found = repair(graph, target, pixels)
    after = np.abs(answers(target, unseen) - expected).mean()
    assert after < 0.6 * before
    assert len(found.layers) == 10
    assert found.left_alone == {}


@pytest.mark.parametrize("kind", WEIGHTED)
def test_a_seeded_error_of_rounding_is_repaired(kind, graph, pixels, coloured):
    """The weights of one layer are all rounded down, what shifts the mean of what it gives."""
    unseen = coloured(100, 16, seed=3)
    expected, target = answers(graph, unseen), quantised(graph, pixels)
    layer = next(i for i in range(len(target.operators)) if target.kind(i) == kind)
    weights = int(target.operators[layer].inputs[1])
    target.set_constant(weights, np.maximum(target.constant(weights).astype(int) - 12, -127))
    before = (answers(target, unseen).argmax(axis=1) == expected.argmax(axis=1)).mean()
    repair(graph, target, pixels)
    after = (answers(target, unseen).argmax(axis=1) == expected.argmax(axis=1)).mean()
    assert after > before
    assert after > 0.9


def test_without_rounding_by_error_the_weights_stay_and_the_biases_leave_no_mean_error(graph, pixels):
    target = quantised(graph, pixels)
    layers = [i for i in range(len(target.operators)) if target.kind(i) in WEIGHTED]
    before = {i: target.constant(int(target.operators[i].inputs[1])).copy() for i in layers}
    repair(graph, target, pixels, by_error=False)
    assert all(
        np.abs(target.constant(int(target.operators[i].inputs[1])).astype(int) - before[i]).max() <= 1 for i in layers
    )
    run, float_run = Execution(target, as_input(target, pixels)), Execution(graph, as_input(graph, pixels))
    twins = {graph.name(graph.given(i)): i for i in range(len(graph.operators))}
    shifts = []
    for operator in range(len(target.operators)):
        run.advance(operator)
        name = target.name(target.given(operator))
        if name in twins:
            expected = float_run.advance(twins[name])
            if target.kind(operator) == "CONV_2D" and target.activation(operator) == "NONE":
                rest = (run.real(target.given(operator)) - expected).mean(axis=(0, 1, 2))
                shifts.append(np.abs(rest).max() / float(target.affine(target.given(operator)).scale[0]))
    assert len(shifts) == 3
    assert max(shifts) < 0.5, "in steps of the tensor"


def test_the_same_seed_chooses_the_same_and_another_seed_other_rows(residual, coloured, monkeypatch):
    from edgeproof.convert import repair as module

    monkeypatch.setattr(module, "ROWS", 300)
    graph, pixels = residual(), coloured(40, 16)
    made = []
    for seed in (1, 1, 2):
        target = quantised(graph, pixels)
        repair(graph, target, pixels, seed=seed)
        made.append(target.packed())
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_a_target_of_floats_gets_the_values_that_int8_weights_will_have(graph, pixels, coloured):
    target = Graph.read(graph.packed())
    found = repair(graph, target, pixels)
    assert len(found.layers) == 10
    for operator in range(len(target.operators)):
        if target.kind(operator) in WEIGHTED:
            layer = found.layers[target.name(target.given(operator))]
            depthwise = target.kind(operator) == "DEPTHWISE_CONV_2D"
            weights = target.constant(int(target.operators[operator].inputs[1]))
            np.testing.assert_allclose(weights, layer.real(depthwise=depthwise), rtol=1e-6)
            np.testing.assert_allclose(
                target.constant(int(target.operators[operator].inputs[2])), layer.bias, rtol=1e-6
            )
            assert np.abs(layer.integers).max() <= 127
    unseen = coloured(100, 16, seed=3)
    assert (answers(target, unseen).argmax(axis=1) == answers(graph, unseen).argmax(axis=1)).mean() > 0.95


@pytest.mark.parametrize(("size", "stride", "same"), [(5, 1, True), (5, 2, True), (3, 1, False)])
def test_depthwise_filters_of_any_size_are_repaired(size, stride, same, new_layers, coloured):
    draw, layers = np.random.default_rng(2), new_layers(16)
    hidden = layers.conv(
        layers.pixels, draw.standard_normal((12, 3, 3, 3)) / 100, draw.normal(0.5, 0.5, 12), activation="RELU6"
    )
    wide = layers.depthwise(
        hidden, draw.standard_normal((1, size, size, 12)), np.zeros(12), stride=stride, same=same, activation="RELU6"
    )
    graph = layers.graph(layers.mean(layers.conv(wide, draw.standard_normal((4, 1, 1, 12)), np.zeros(4))))
    pixels, unseen = coloured(60, 16), coloured(60, 16, seed=5)
    target = quantised(graph, pixels)
    expected = answers(graph, unseen)
    before = np.square(answers(target, unseen) - expected).mean()
    repair(graph, target, pixels)
    assert np.square(answers(target, unseen) - expected).mean() < 0.9 * before


# --- layers that are left alone -------------------------------------------------------------------------------------


def test_a_layer_in_float_is_left_alone_and_the_others_make_its_part_good(graph, pixels):
    target = quantised(graph, pixels, in_float=(3,))
    found = repair(graph, target, pixels)
    assert found.left_alone == {graph.name(graph.given(3)): "its weights stay in float"}
    assert len(found.layers) == 9


def test_a_layer_without_a_bias_is_left_alone(new_layers, coloured):
    layers = new_layers(4)
    hidden = layers.dense(layers.mean(layers.pixels), np.eye(3), None, activation="RELU")
    graph, pixels = layers.graph(layers.dense(hidden, np.eye(3), np.zeros(3))), coloured(30, 4)
    found = repair(graph, quantised(graph, pixels), pixels)
    assert found.left_alone == {graph.name(graph.given(1)): "it has no bias"}
    assert list(found.layers) == [graph.name(graph.given(2))]


def test_layers_that_share_their_weights_are_left_alone(new_layers, coloured):
    draw, layers = np.random.default_rng(0), new_layers(4)
    first = draw.standard_normal((3, 1, 1, 3))
    one = layers.conv(layers.pixels, first, np.ones(3), activation="RELU6")
    graph = layers.graph(layers.mean(layers.conv(one, first, np.zeros(3), activation="RELU6")))
    graph.operators[1].inputs = [int(graph.operators[1].inputs[0]), *graph.operators[0].inputs[1:]]
    target = Graph.read(graph.packed())
    content = target.packed()
    found = repair(graph, target, coloured(30, 4))
    assert set(found.left_alone.values()) == {"its weights are used twice"}
    assert len(found.left_alone) == 2
    assert target.packed() == content


def test_a_layer_with_groups_is_left_alone(new_layers, coloured):
    draw, layers = np.random.default_rng(0), new_layers(4)
    hidden = layers.conv(layers.pixels, draw.standard_normal((4, 1, 1, 3)), np.zeros(4), activation="RELU")
    grouped = layers.conv(hidden, draw.standard_normal((4, 1, 1, 2)), np.zeros(4))
    graph = layers.graph(layers.mean(grouped))
    found = repair(graph, Graph.read(graph.packed()), coloured(30, 4))
    assert found.left_alone == {graph.name(grouped): "its channels are in groups"}


def test_a_layer_of_very_many_inputs_is_left_alone(new_layers, coloured, monkeypatch):
    from edgeproof.convert import repair as module

    monkeypatch.setattr(module, "LARGEST", 2)
    layers = new_layers(4)
    graph = layers.graph(layers.dense(layers.mean(layers.pixels), np.eye(3), np.zeros(3)))
    found = repair(graph, Graph.read(graph.packed()), coloured(30, 4))
    assert found.left_alone == {graph.name(graph.given(1)): "it has 3 inputs an output"}


def test_an_operator_without_weights_is_run_and_not_named(new_layers, coloured):
    layers = new_layers(4)
    graph = layers.graph(layers.softmax(layers.mean(layers.pixels)))
    found = repair(graph, Graph.read(graph.packed()), coloured(5, 4))
    assert (found.layers, found.left_alone) == ({}, {})


def test_a_layer_whose_activation_is_no_cut_is_left_alone(new_layers, coloured):
    draw, layers = np.random.default_rng(0), new_layers(4)
    hidden = layers.conv(layers.pixels, draw.standard_normal((4, 1, 1, 3)) / 99, np.zeros(4), activation="TANH")
    graph = layers.graph(layers.mean(layers.conv(hidden, draw.standard_normal((4, 1, 1, 4)), np.zeros(4))))
    found = repair(graph, Graph.read(graph.packed()), coloured(30, 4))
    assert found.left_alone == {graph.name(hidden): "its activation is TANH"}
    assert len(found.layers) == 1


# --- install --------------------------------------------------------------------------------------------------------


def test_weights_and_biases_are_installed_with_their_scales(graph, pixels):
    target = quantised(graph, pixels)
    rows = np.random.default_rng(0).standard_normal((100, 27)).astype(np.float32)
    found = rounding.dense(Rows(rows, rows[:, :8] + 3), np.random.default_rng(1).standard_normal((8, 27)))
    layer = next(i for i in range(len(target.operators)) if target.kind(i) == "CONV_2D")
    shaped = rounding.Rounded(found.integers.reshape(8, 3, 3, 3), found.scale, found.bias)
    install(target, layer, shaped)
    taken, weights, bias = (int(tensor) for tensor in target.operators[layer].inputs)
    np.testing.assert_array_equal(target.constant(weights), shaped.integers)
    np.testing.assert_allclose(target.affine(weights).scale, shaped.scale, rtol=1e-6)
    step = target.affine(taken).scale[0]
    np.testing.assert_allclose(target.affine(bias).scale, shaped.scale * step, rtol=1e-6)
    real = target.constant(bias) * target.affine(bias).scale
    np.testing.assert_allclose(real, shaped.bias, atol=float((shaped.scale * step).max()))


@pytest.mark.parametrize("bits", [8, 16])
def test_the_bias_of_a_channel_without_weights_is_kept(bits, new_layers, coloured):
    """As channels are that were pruned, or never learned anything."""
    layers, pixels = new_layers(4), coloured(40, 4)
    weights = np.array([[1, -0.5, 0], [0, 0, 0], [1e-9, 0, 0]])
    hidden = layers.dense(layers.mean(layers.pixels), weights, np.array([0.0, 70.0, -30.0]))
    graph = layers.graph(layers.dense(hidden, np.eye(3), np.zeros(3)))
    target = quantised(graph, pixels, activation_bits=bits)
    # The files of 16-bit activations get weights that were rounded for float ones.
    found = repair(graph, target if bits == 8 else Graph.read(graph.packed()), pixels)
    for operator in range(len(target.operators)):
        if bits == 16 and target.kind(operator) in WEIGHTED:
            install(target, operator, found.layers[target.name(target.given(operator))])
    np.testing.assert_allclose(answers(target, pixels), answers(graph, pixels), atol=2.5)
