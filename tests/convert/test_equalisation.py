import numpy as np
import pytest

from edgeproof.convert.equalisation import equalise, spans
from edgeproof.runtime.interpreter import Runner


def outputs(graph, pixels):
    return Runner(graph.packed()).probabilities(pixels)


def unevenness(values):
    """The loudest channel over the median one."""
    reach = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
    return reach.max() / np.median(reach)


def weights_of(graph, operator):
    return graph.constant(int(graph.operators[operator].inputs[1]))


def bias_of(graph, operator):
    return graph.constant(int(graph.operators[operator].inputs[2]))


@pytest.mark.parametrize("activation", ["RELU6", "RELU"])
def test_the_answers_of_a_residual_network_stay_the_same(activation, residual, coloured):
    graph, pixels = residual(activation=activation), coloured(60, 16)
    before = outputs(graph, pixels)
    assert len(set(before.argmax(axis=1).tolist())) == 4
    assert equalise(graph, pixels) > 5
    np.testing.assert_allclose(outputs(graph, pixels), before, atol=2e-4)


def test_so_they_do_on_pictures_that_it_has_not_seen(residual, coloured):
    graph = residual()
    before = outputs(graph, coloured(60, 16, seed=1))
    equalise(graph, coloured(60, 16))
    np.testing.assert_allclose(outputs(graph, coloured(60, 16, seed=1)), before, atol=0.05)


def test_channels_share_their_range_evenly(residual, coloured):
    graph, pixels = residual(uneven=1.5), coloured(40, 16)
    before = spans(graph, pixels)
    equalise(graph, pixels)
    after = spans(graph, pixels)
    # The linear ones of the residual chain; a live channel reaches what the loudest does.
    chain = [graph.given(i) for i in range(len(graph.operators)) if graph.kind(i) == "ADD"] + [graph.given(1)]
    reach = {seen: [np.ptp([each[t].low, each[t].high], axis=0) for t in chain] for seen, each in
             (("before", before), ("after", after))}  # fmt: skip
    least = {seen: np.max(found, axis=0).min() / np.max(found) for seen, found in reach.items()}
    assert least["before"] < 0.2
    assert least["after"] > 0.5


def two_layers(new_layers, first, second, *, activation="RELU6", second_bias=None, **options):
    """A pointwise layer of weights `first` on the pixels' mean colour, and a second layer behind it."""
    layers = new_layers(4)
    hidden = layers.conv(layers.pixels, first, np.zeros(len(first)) + 0.5, activation=activation)
    bias = np.zeros(len(second)) if second_bias is None else second_bias
    return layers.graph(layers.mean(layers.conv(hidden, second, bias, **options)))


def test_relu6_channels_that_stay_below_6_are_scaled_up_to_it(new_layers, coloured):
    first = np.array([[1, 0, 0], [0, 0.01, 0], [0, 0, 0.002]]).reshape(3, 1, 1, 3)
    graph, pixels = two_layers(new_layers, first, np.ones((2, 1, 1, 3))), coloured(20, 4)
    high = spans(graph, pixels)[graph.given(0)].high
    assert high[0] == 6
    assert (high[1:] < 4).all()
    before = outputs(graph, pixels)
    assert equalise(graph, pixels) >= 1
    found = spans(graph, pixels)[graph.given(0)].high
    assert found[0] == 6
    assert (found[1:] > 6 / 1.3).all(), "but for the margin"
    assert (found <= 6).all(), "ReLU6 stays"
    np.testing.assert_allclose(outputs(graph, pixels), before, rtol=1e-4)


def test_a_channel_that_is_always_loud_gives_its_offset_to_the_bias_behind(new_layers, coloured):
    first = np.array([[0.02, 0, 0], [0, 0.02, 0], [0, 0, 0.02]]).reshape(3, 1, 1, 3)
    graph, pixels = two_layers(new_layers, first, np.ones((2, 1, 1, 3)), activation="RELU"), coloured(20, 4) // 8 + 200
    before = outputs(graph, pixels)
    equalise(graph, pixels)
    seen = spans(graph, pixels)[graph.given(0)]
    assert (seen.low < 0.5 * seen.high).all()
    assert (bias_of(graph, 1) != 0).all()
    np.testing.assert_allclose(outputs(graph, pixels), before, rtol=1e-4)


def test_before_a_layer_that_pads_no_offset_is_taken_away(new_layers, coloured):
    first = np.array([[0.02, 0, 0], [0, 0.005, 0], [0, 0, 0.01]]).reshape(3, 1, 1, 3)
    padding = two_layers(new_layers, first, np.ones((2, 3, 3, 3)), activation="RELU")
    pixels = coloured(20, 4) // 8 + 200
    before = outputs(padding, pixels)
    assert equalise(padding, pixels) >= 1
    np.testing.assert_array_equal(bias_of(padding, 1), 0)
    np.testing.assert_allclose(outputs(padding, pixels), before, rtol=1e-4)


def test_a_linear_layer_before_a_depthwise_one_is_scaled_without_offsets(new_layers, coloured):
    layers, draw = new_layers(8), np.random.default_rng(0)
    hidden = layers.conv(
        layers.pixels,
        draw.standard_normal((4, 1, 1, 3)) * [[[[1]]], [[[9]]], [[[0.1]]], [[[1]]]],
        draw.standard_normal(4),
    )
    wide = layers.depthwise(hidden, draw.standard_normal((1, 3, 3, 4)), np.zeros(4), activation="RELU")
    graph, pixels = (
        layers.graph(layers.mean(layers.conv(wide, draw.standard_normal((5, 1, 1, 4)), np.zeros(5)))),
        coloured(20, 8),
    )
    before, loud = outputs(graph, pixels), unevenness_of(graph, pixels)
    assert equalise(graph, pixels) == 2
    np.testing.assert_array_equal(bias_of(graph, 1), 0)
    assert loud > 2
    assert unevenness_of(graph, pixels) < 1.01
    np.testing.assert_allclose(outputs(graph, pixels), before, rtol=1e-3, atol=1e-2)


def unevenness_of(graph, pixels):
    seen = spans(graph, pixels)[graph.given(0)]
    return unevenness(np.stack([seen.low, seen.high]))


def test_layers_that_share_their_weights_are_left_alone(new_layers, coloured):
    layers = new_layers(4)
    first = np.array([[1, 0, 0], [0, 0.01, 0], [0, 0, 0.002]]).reshape(3, 1, 1, 3)
    one = layers.conv(layers.pixels, first, np.zeros(3), activation="RELU6")
    other = layers.conv(one, first, np.zeros(3), activation="RELU6")
    graph = layers.graph(layers.mean(layers.conv(other, np.ones((2, 1, 1, 3)), np.zeros(2))))
    graph.operators[1].inputs = [int(graph.operators[1].inputs[0]), *graph.operators[0].inputs[1:]]
    content = graph.packed()
    assert equalise(graph, coloured(20, 4)) == 0
    assert graph.packed() == content


@pytest.mark.parametrize("case", ["two users", "no bias", "an output", "cut below"])
def test_where_no_two_layers_meet_nothing_is_done(case, new_layers, coloured):
    layers, draw = new_layers(4), np.random.default_rng(0)
    activation, bias = "RELU_N1_TO_1" if case == "cut below" else "RELU", None if case == "no bias" else np.zeros(3)
    hidden = layers.dense(layers.mean(layers.pixels), draw.standard_normal((3, 3)), bias, activation=activation)
    given = layers.dense(hidden, draw.standard_normal((3, 3)), np.zeros(3))
    if case == "two users":
        given = layers.add(given, hidden)
    graph = layers.graph(*([hidden, given] if case == "an output" else [given]))
    content = graph.packed()
    assert equalise(graph, coloured(20, 4)) == 0
    assert graph.packed() == content


def test_two_dense_layers_are_equalised(new_layers, coloured):
    layers, draw = new_layers(4), np.random.default_rng(0)
    hidden = layers.dense(layers.mean(layers.pixels), draw.standard_normal((3, 3)), np.zeros(3), activation="RELU")
    assert equalise(layers.graph(layers.dense(hidden, draw.standard_normal((3, 3)), np.zeros(3))), coloured(9, 4)) == 1


def test_a_layer_before_groups_is_left_alone(new_layers, coloured):
    layers, draw = new_layers(4), np.random.default_rng(0)
    hidden = layers.conv(layers.pixels, draw.standard_normal((4, 1, 1, 3)), np.zeros(4), activation="RELU6")
    grouped = layers.conv(hidden, draw.standard_normal((4, 1, 1, 2)), np.zeros(4), activation="RELU_N1_TO_1")
    graph = layers.graph(layers.mean(grouped))
    before = outputs(graph, coloured(5, 4))
    assert equalise(graph, coloured(20, 4)) == 0
    np.testing.assert_array_equal(outputs(graph, coloured(5, 4)), before)


def test_a_channel_that_is_always_off_stays_as_it_is(new_layers, coloured):
    first = np.array([[1, 0, 0], [0, 0, 0], [0, 0, -9]]).reshape(3, 1, 1, 3)
    graph, pixels = two_layers(new_layers, first, np.ones((2, 1, 1, 3))), coloured(20, 4)
    before = outputs(graph, pixels)
    equalise(graph, pixels)
    assert np.isfinite(weights_of(graph, 0)).all()
    assert np.isfinite(weights_of(graph, 1)).all()
    np.testing.assert_allclose(outputs(graph, pixels), before, rtol=1e-4)


def test_spans_are_the_least_and_largest_of_each_channel(new_layers, coloured):
    layers, pixels = new_layers(4), coloured(9, 4)
    graph = layers.graph(layers.mean(layers.conv(layers.pixels, np.eye(3).reshape(3, 1, 1, 3), np.zeros(3))))
    found = spans(graph, pixels)
    np.testing.assert_array_equal(found[graph.given(0)].low, pixels.min(axis=(0, 1, 2)))
    np.testing.assert_array_equal(found[graph.given(0)].high, pixels.max(axis=(0, 1, 2)))
    np.testing.assert_allclose(found[graph.given(1)].high, pixels.mean(axis=(1, 2)).max(axis=0), rtol=1e-5)
