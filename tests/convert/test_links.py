import numpy as np
import pytest

from edgeproof.convert.equalisation import Spans
from edgeproof.convert.links import by_input, makers, makes_channels, scales, weights_of


def kinds(graph):
    return [graph.kind(number) for number in range(len(graph.operators))]


@pytest.fixture(scope="module")
def plain(new_layers):
    """Two convolutions, a pool, a flattening and two dense layers."""
    draw, layers = np.random.default_rng(0), new_layers(4)
    hidden = layers.conv(layers.pixels, draw.normal(size=(6, 3, 3, 3)), np.zeros(6), activation="RELU")
    hidden = layers.conv(hidden, draw.normal(size=(4, 3, 3, 6)), np.zeros(4), activation="RELU")
    hidden = layers.reshape(hidden, (1, 64))
    hidden = layers.dense(hidden, draw.normal(size=(5, 64)), np.zeros(5), activation="RELU")
    return layers.graph(layers.softmax(layers.dense(hidden, draw.normal(size=(4, 5)), np.zeros(4))))


def test_each_layer_takes_the_channels_of_the_one_before_also_behind_a_flattening(plain):
    assert kinds(plain) == ["CONV_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]
    assert makers(plain) == {1: 0, 3: 1, 4: 3}


def test_channels_come_from_an_addition_and_pass_a_mean_but_no_depthwise_layer_mixes_them(residual):
    graph = residual()
    found = makers(graph)
    for operator, maker in found.items():
        assert graph.kind(operator) in ("CONV_2D", "FULLY_CONNECTED", "MEAN")
        assert makes_channels(graph, maker)
    names = kinds(graph)
    mean, dense = names.index("MEAN"), names.index("FULLY_CONNECTED")
    assert found[mean] == found[dense] == mean - 1
    assert "ADD" in [graph.kind(maker) for maker in found.values()]
    assert "DEPTHWISE_CONV_2D" in [graph.kind(maker) for maker in found.values()]


def test_after_scaling_a_channel_reaches_as_far_as_its_weights(plain):
    spans = Spans(np.zeros(6), np.array([1.0, 100.0, 0.01, 5.0, 5.0, 7.0]))
    found = scales(plain, 0, [1], spans)
    largest = np.abs(weights_of(plain, 1)).max(axis=(0, 1, 2))
    np.testing.assert_allclose(spans.high / found, largest * found)


def test_a_scaled_channel_is_scaled_back(plain, spoiled):
    spans = Spans(np.zeros(6), np.arange(1, 7, dtype=np.float64))
    graph = spoiled(plain, 0, [100.0])
    factors = np.abs(weights_of(plain, 1)).max(axis=(0, 1, 2)) / np.abs(weights_of(graph, 1)).max(axis=(0, 1, 2))
    assert sorted(np.rint(factors)) == [1, 1, 1, 100, 100, 100]
    changed = scales(graph, 0, [1], Spans(spans.low, spans.high * factors))
    np.testing.assert_allclose(changed, factors * scales(plain, 0, [1], spans), rtol=1e-5)


def test_a_channel_that_is_never_active_takes_no_steps_from_the_weights_of_the_others(plain, spoiled):
    high = np.array([0.0, 1, 1, 1, 1, 1])
    weights = np.abs(weights_of(plain, 1)).max(axis=(0, 1, 2))
    found = scales(plain, 0, [1], Spans(np.zeros(6), high)) * weights
    assert found[0] == pytest.approx(np.median(found[1:]))


def test_below_relu6_and_before_depthwise_layers_every_channel_gets_the_whole_range(residual):
    graph = residual()
    spans = Spans(np.zeros(8), np.array([6, 3, 0.5, 0, 1, 1, 1, 1.0]))
    assert graph.activation(0) == "RELU6"
    expected = [6, 3, 0.5, 1, 1, 1, 1, 1]
    np.testing.assert_array_equal(scales(graph, 0, [1], spans), expected)
    np.testing.assert_array_equal(scales(graph, 1, [], spans), expected)


def test_a_flattened_channel_stands_at_every_place(plain):
    found = by_input(plain, 3, np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.shape == (64,)
    np.testing.assert_array_equal(found.reshape(4, 4, 4)[2, 1], [1, 2, 3, 4])


def test_an_operator_without_weights_has_none(plain):
    with pytest.raises(IndexError):
        weights_of(plain, 5)
