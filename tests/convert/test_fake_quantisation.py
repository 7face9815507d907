import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeproof.convert import twin
from edgeproof.convert.emulation import ranges
from edgeproof.convert.fake_quantisation import AXES, rounded, rounded_kernel, trained, units
from edgeproof.convert.lowering import lowered, without_softmax

SHAPES = {"Conv2D": (3, 3, 4, 5), "DepthwiseConv2D": (3, 3, 4, 2), "Dense": (7, 5)}


@pytest.fixture(scope="module")
def logits(digits_model):
    return without_softmax(lowered(twin.describe(digits_model)))


@pytest.mark.parametrize("kind", SHAPES)
def test_a_kernel_is_rounded_to_255_steps_in_each_output_channel(kind):
    shape = SHAPES[kind]
    sizes = np.logspace(-3, 2, shape[-1])
    kernel = (np.random.default_rng(0).normal(size=shape) * sizes).astype(np.float32)
    found = rounded_kernel(tf.constant(kernel), AXES[kind]).numpy()
    peaks = np.abs(kernel).max(axis=AXES[kind], keepdims=True)
    steps = found / (peaks / 127)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    assert np.abs(steps).max() == pytest.approx(127)
    assert (np.abs(found - kernel) <= peaks / 254 * 1.001).all()
    assert peaks.size == {"Conv2D": 5, "DepthwiseConv2D": 8, "Dense": 5}[kind]


def test_rounding_twice_is_rounding_once():
    kernel = tf.random.stateless_normal((3, 3, 4, 5), (1, 2))
    once = rounded_kernel(kernel, AXES["Conv2D"])
    np.testing.assert_allclose(rounded_kernel(once, AXES["Conv2D"]), once, atol=1e-7)


def test_a_kernel_of_zeros_stays():
    assert (rounded_kernel(tf.zeros((7, 5)), (0,)).numpy() == 0).all()


def test_gradients_pass_the_rounding_by():
    kernel = tf.Variable(tf.random.stateless_normal((7, 5), (1, 2)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(3 * rounded_kernel(kernel, (0,)))
    np.testing.assert_allclose(tape.gradient(loss, kernel), 3)


def test_activations_are_rounded_and_cut_to_their_range():
    found = rounded(tf.constant([-1.0, 0.011, 0.5, 6.0, 9.0]), (0.0, 6.0)).numpy()
    np.testing.assert_allclose(found, [0, 0, 21 * 6 / 255, 6, 6], atol=1e-6)


def test_the_unit_of_a_kernel_is_its_largest_weight_in_each_channel_and_zeros_have_none(logits):
    name = "point"
    kernel, bias = logits.layer(name).weights
    kernel = kernel.copy()
    kernel[0, 0, 2] = 0
    only = twin.Twin(
        (
            twin.Layer("pixels", "InputLayer", (), {"shape": [4, 4, 8]}),
            twin.Layer(name, "Conv2D", ("pixels",), logits.layer(name).settings, (kernel, bias)),
        )
    )
    model = twin.build(only, keras)
    found = units(model, only, {name: (-2.0, 3.0)})
    variables = {each.name: each for each in model.trainable_weights}
    largest = np.abs(kernel).max(axis=(0, 1, 2))
    assert found["bias"] == 5.0
    assert (found["kernel"][0, 0, 2] == 0).all()
    np.testing.assert_allclose(found["kernel"][0, 0, 3], largest)
    assert found["kernel"].shape == variables["kernel"].shape


def test_a_bias_under_a_relu_has_the_range_behind_that(logits, digits):
    pixels = digits[0].preprocessing.finished(digits[0].stored[:32])
    bounds = ranges(logits, pixels, keras)
    assert "last" not in bounds
    low, high = bounds["last_activation"]
    source = twin.Layer("pixels", "InputLayer", (), {"shape": [8, 8, 8]})
    last = dataclasses.replace(logits.layer("last"), inbound=("pixels",))
    only = twin.Twin((source, last, logits.layer("last_activation")))
    assert units(twin.build(only, keras), only, bounds)["bias"] == pytest.approx(high - low)


def test_the_trained_weights_are_taken_back_with_the_kernels_rounded(logits):
    model = twin.build(logits, keras)
    layer = model.get_layer("last")
    layer.bias.assign(np.arange(32.0))
    layer.kernel.assign(2 * layer.kernel)
    found = trained(model, logits).layer("last")
    np.testing.assert_array_equal(found.weights[1], np.arange(32.0))
    expected = rounded_kernel(tf.constant(2 * logits.layer("last").weights[0]), AXES["Conv2D"])
    np.testing.assert_array_equal(found.weights[0], expected)
    assert [layer.name for layer in trained(model, logits).layers] == [layer.name for layer in logits.layers]
