import keras
import numpy as np
import pytest

from edgeproof.convert.translation import translated
from edgeproof.runtime import ModelError

layers = keras.layers


def doubled(values):
    return 2 * values


def steps_of(layer, shape=(8, 8, 3)):
    picture = keras.Input(shape)
    return translated(layer(picture)._keras_history.operation._inbound_nodes[0], "base/here")


def kinds(layer, shape=(8, 8, 3)):
    return [step.kind for step in steps_of(layer, shape)]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(4, 3), ["Conv2D"]),
        (layers.Conv2D(4, 3, activation="relu6"), ["Conv2D", "ReLU"]),
        (layers.DepthwiseConv2D(3, activation="relu"), ["DepthwiseConv2D", "ReLU"]),
        (layers.SeparableConv2D(4, 3, activation="silu"), ["DepthwiseConv2D", "Conv2D", "Activation"]),
        (layers.LeakyReLU(0.1), ["ReLU"]),
        (layers.Activation("softmax"), ["Softmax"]),
        (layers.Activation("linear"), []),
        (layers.Dropout(0.5), []),
        (layers.RandomFlip(), []),
        (layers.Normalization(mean=[1.0, 2, 3], variance=[4.0, 5, 6]), ["Rescaling"]),
    ],
)
def test_a_layer_becomes_plain_layers_and_what_does_nothing_at_inference_none(layer, expected):
    assert kinds(layer) == expected


def test_what_is_fused_gets_a_name_of_its_own():
    steps = steps_of(layers.SeparableConv2D(4, 3, activation="relu", name="both"))
    assert [step.suffix for step in steps] == ["_depthwise", "_pointwise", "_activation"]


def test_a_six_of_relu6_and_a_slope_are_kept():
    assert steps_of(layers.Conv2D(4, 3, activation="relu6"))[1].settings == {"max_value": 6.0}
    assert steps_of(layers.LeakyReLU(0.1))[0].settings == {"negative_slope": pytest.approx(0.1)}


def test_weights_are_numbered_as_in_the_layer():
    depthwise, pointwise = steps_of(layers.SeparableConv2D(4, 3))
    assert (depthwise.origins, pointwise.origins) == ((0,), (1, 2))
    assert pointwise.weights[0].shape == (1, 1, 3, 4)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (layers.LayerNormalization(), r"'base/here' \(LayerNormalization\) cannot be trained for integers"),
        (layers.Activation("hard_silu"), r"'base/here' \(the activation hard_silu\)"),
        (layers.Conv2D(4, 3, activation=doubled), r"'base/here' \(an activation of its own\)"),
        (layers.Normalization(axis=(1, 2), mean=np.zeros((8, 8)), variance=np.ones((8, 8))), "over the axes"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_place(layer, words):
    with pytest.raises(ModelError, match=words):
        steps_of(layer)


def test_channels_first_are_refused():
    picture = keras.Input((3, 8, 8))
    output = layers.GlobalAveragePooling2D(data_format="channels_first")(picture)
    with pytest.raises(ModelError, match="GlobalAveragePooling2D with channels first"):
        translated(output._keras_history.operation._inbound_nodes[0], "here")


def test_a_layer_of_the_users_own_is_refused_even_under_a_known_name():
    class Conv2D(layers.Conv2D):
        pass

    with pytest.raises(ModelError, match=r"'base/here' \(Conv2D\)"):
        steps_of(Conv2D(4, 3))


@pytest.mark.parametrize(
    ("write", "scale", "offset"),
    [
        (lambda x: x * 2.0, 2, 0),
        (lambda x: 2 * x, 2, 0),
        (lambda x: x + 3, 1, 3),
        (lambda x: x - 3, 1, -3),
        (lambda x: 1.0 - x, -1, 1),
        (lambda x: x / 4, 0.25, 0),
    ],
)
def test_arithmetic_with_a_number_is_scaling(write, scale, offset):
    node = write(keras.Input((8, 8, 3)))._keras_history.operation._inbound_nodes[0]
    (step,) = translated(node, "here")
    assert (step.kind, step.settings) == ("Rescaling", {"scale": scale, "offset": offset})


def test_arithmetic_of_two_tensors_is_a_layer():
    picture = keras.Input((8, 8, 3))
    (step,) = translated((picture * picture)._keras_history.operation._inbound_nodes[0], "here")
    assert step.kind == "Multiply"


@pytest.mark.parametrize("write", [lambda x: 1.0 / x, lambda x: x**2.0, lambda x: x * np.ones((8, 8, 3), np.float32)])
def test_other_arithmetic_is_refused(write):
    node = write(keras.Input((8, 8, 3)))._keras_history.operation._inbound_nodes[0]
    with pytest.raises(ModelError, match="'here'"):
        translated(node, "here")
