import keras
import numpy as np
import pytest

from edgeproof.convert import twin
from edgeproof.convert.balancing import balanced
from edgeproof.convert.emulation import peaks
from edgeproof.convert.lowering import lowered, without_softmax

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)


def outputs(given, pixels=PIXELS):
    return twin.build(given, keras).predict(pixels.astype(np.float32), verbose=0)


def unbalanced(top, taker, *, twice=False):
    """Channels whose largest values lie between a thousandth of `top` and a little above it."""
    keras.utils.set_random_seed(1)
    picture = keras.Input((8, 8, 3))
    relu = layers.ReLU(6.0 if top == 6 else None, name="relu")
    hidden = kept = relu(layers.Conv2D(5, 3, name="maker")(layers.Rescaling(1 / 255)(picture)))
    if twice:
        hidden = layers.Concatenate()([taker(hidden), layers.Conv2D(2, 3)(kept)])
    else:
        hidden = taker(layers.ZeroPadding2D(1)(hidden))
    hidden = layers.GlobalAveragePooling2D()(hidden)
    model = keras.Model(picture, layers.Softmax()(layers.Dense(4)(hidden)))
    kernel, bias = model.get_layer("maker").get_weights()
    kernel = np.abs(kernel)  # no channel is dead
    model.get_layer("maker").set_weights([kernel, bias])
    found = without_softmax(lowered(twin.describe(model)))
    seen = peaks(found, ["relu"], PIXELS, keras)["relu"]
    wanted = np.array([1.3, 0.5, 0.1, 0.01, 0.001]) * top
    model.get_layer("maker").set_weights([kernel * wanted / seen, bias])
    return without_softmax(lowered(twin.describe(model)))


TAKERS = {
    "conv": lambda: layers.Conv2D(4, 3, name="taker"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, name="taker"),
}


@pytest.mark.parametrize("top", [6, 20])
@pytest.mark.parametrize("taker", TAKERS)
def test_channels_are_scaled_and_the_answers_stay(top, taker):
    given = unbalanced(top, TAKERS[taker]())
    found = balanced(given, PIXELS, keras)
    np.testing.assert_allclose(outputs(found), outputs(given), atol=1e-4 * np.abs(outputs(given)).max())
    before, after = (peaks(each, ["relu"], PIXELS, keras)["relu"] for each in (given, found))
    assert (after / after.max()).min() > 3 * (before / before.max()).min()


def test_before_a_depthwise_layer_every_channel_fills_the_range_but_for_a_margin():
    found = balanced(unbalanced(6, TAKERS["depthwise"]()), PIXELS, keras)
    seen = peaks(found, ["relu"], PIXELS, keras)["relu"]
    assert seen[0] == 6.0  # it is cut, and must be cut where it was
    assert 5.4 < seen[1:3].min() <= seen[1:3].max() < 5.5
    assert seen[3:] == pytest.approx([0.01 * 6 * 50, 0.001 * 6 * 50], rel=0.05)  # fifty times is enough


def test_a_channel_that_is_cut_stays_as_it_is():
    given = unbalanced(6, TAKERS["conv"]())
    found = balanced(given, PIXELS, keras)
    np.testing.assert_array_equal(found.layer("maker").weights[0][..., 0], given.layer("maker").weights[0][..., 0])


def test_an_output_that_two_layers_take_is_left_alone():
    given = unbalanced(20, TAKERS["conv"](), twice=True)
    found = balanced(given, PIXELS, keras)
    assert all(
        np.array_equal(*pair)
        for layer, other in zip(given.layers, found.layers, strict=True)
        for pair in zip(layer.weights, other.weights, strict=True)
    )


def test_a_dead_channel_is_left_alone():
    given = unbalanced(20, TAKERS["conv"]())
    kernel, bias = given.layer("maker").weights
    kernel, bias = kernel.copy(), bias.copy()
    kernel[..., 2], bias[2] = 0, -1
    dead = twin.Twin(
        tuple(
            twin.Layer(e.name, e.kind, e.inbound, e.settings, (kernel, bias)) if e.name == "maker" else e
            for e in given.layers
        )
    )
    found = balanced(dead, PIXELS, keras)
    assert found.layer("maker").weights[1][2] == -1
    assert all(np.isfinite(array).all() for layer in found.layers for array in layer.weights)
