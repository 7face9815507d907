import keras
import numpy as np
import pytest

from edgeproof.convert import lowering, twin
from edgeproof.convert.lowering import lowered, without_softmax
from edgeproof.runtime import ModelError

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)


def outputs(model):
    return model.predict(PIXELS.astype(np.float32), verbose=0)


def classifier(body, *, head=True):
    """A model of pixels 0–255 whose batch norms have statistics of their own."""
    keras.utils.set_random_seed(1)
    picture = keras.Input((8, 8, 3))
    hidden = body(picture)
    if head:
        hidden = layers.Dense(4, name="answers")(layers.GlobalAveragePooling2D(name="mean")(hidden))
    model = keras.Model(picture, layers.Softmax(name="softmax")(hidden))
    generator = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, array.shape) for array in layer.get_weights()])
    return model


def scaled(picture, scale=1 / 127.5, offset=-1.0):
    return layers.Rescaling(scale, offset=offset, name="scale")(picture)


def branch(picture):
    """A convolution that two layers take: its batch norm must not reach the other one."""
    hidden = layers.Conv2D(3, 1, name="shared")(scaled(picture, 1 / 255, 0.0))
    return layers.Add()([hidden, layers.BatchNormalization(name="aside")(hidden)])


BODIES = {
    "conv": lambda x: layers.BatchNormalization()(layers.Conv2D(4, 3)(scaled(x))),
    "conv without bias": lambda x: layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(scaled(x))),
    "plain norm": lambda x: layers.BatchNormalization(scale=False, center=False)(layers.Conv2D(4, 3)(scaled(x))),
    "depthwise": lambda x: layers.BatchNormalization()(
        layers.DepthwiseConv2D(3, depth_multiplier=2)(layers.Conv2D(4, 3)(scaled(x)))
    ),
    "first depthwise": lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2)(scaled(x, 1 / 255, 0.25)),
    "norm after an activation": lambda x: layers.BatchNormalization()(
        layers.Conv2D(4, 3, activation="relu")(scaled(x))
    ),
    "norm of pixels": lambda x: layers.Conv2D(4, 3)(layers.BatchNormalization(axis=3)(scaled(x))),
    "two takers": branch,
    "channels": lambda x: layers.Conv2D(4, 3)(layers.Normalization(mean=[120.0, 110, 100], variance=[9.0, 8, 7])(x)),
    "padded channels": lambda x: layers.Conv2D(4, 3, padding="same")(
        layers.Normalization(mean=[120.0, 110, 100], variance=[9.0, 8, 7])(x)
    ),
    "in steps": lambda x: layers.Conv2D(4, 3, padding="same")(layers.ZeroPadding2D(1)(x / 51.0 - 2)),
    "not before a convolution": lambda x: layers.MaxPooling2D(2)(scaled(x)),
    "inside": lambda x: layers.Conv2D(4, 1)(layers.Rescaling(0.5, offset=0.25)(layers.Conv2D(4, 3)(scaled(x)))),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_lowered_twin_answers_the_same_without_batch_norm(body):
    model = classifier(body)
    found = lowered(twin.describe(model))
    np.testing.assert_allclose(outputs(twin.build(found, keras)), outputs(model), atol=2e-5)
    assert "BatchNormalization" not in {layer.kind for layer in found.layers}
    assert outputs(model).std() > 0.005


def test_batch_norm_behind_a_dense_layer_or_before_one_is_folded():
    def body(picture):
        hidden = layers.BatchNormalization()(layers.GlobalAveragePooling2D()(scaled(picture)))
        hidden = layers.Dense(6, use_bias=False)(hidden)
        return layers.Dense(4)(layers.ReLU()(layers.BatchNormalization()(hidden)))

    model = classifier(body, head=False)
    found = lowered(twin.describe(model))
    np.testing.assert_allclose(outputs(twin.build(found, keras)), outputs(model), atol=2e-5)
    assert [layer.kind for layer in found.layers[-4:]] == ["Dense", "ReLU", "Dense", "Softmax"]


def test_batch_norm_that_no_layer_takes_over_is_refused():
    def body(picture):
        return layers.BatchNormalization(name="alone")(layers.ReLU()(layers.Dense(4)(layers.Flatten()(picture))))

    with pytest.raises(ModelError, match=r"'alone' \(BatchNormalization\) has no layer beside it"):
        lowered(twin.describe(classifier(body, head=False)))


def test_batch_norm_along_another_axis_is_refused():
    with pytest.raises(ModelError, match=r"normalises along axis 2; the channels, -1, are expected"):
        lowered(twin.describe(classifier(lambda x: layers.BatchNormalization(axis=2)(layers.Conv2D(4, 3)(x)))))


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (lambda x: layers.Conv2D(4, 3)(scaled(x)), []),
        (lambda x: layers.Conv2D(4, 3, padding="same")(scaled(x, 1 / 255, 0.0)), []),
        (lambda x: layers.Conv2D(4, 3, padding="same")(scaled(x)), [{"scale": 1.0, "offset": -128.0}]),
        (lambda x: layers.Conv2D(4, 3, padding="same")(x / 51.0 - 2), [{"scale": 1.0, "offset": -102.0}]),
    ],
    ids=["no padding", "zero is zero", "between bytes", "two steps"],
)
def test_of_the_pixels_scaling_only_a_whole_number_is_left(body, left):
    found = lowered(twin.describe(classifier(body)))
    assert [layer.settings for layer in found.layers if layer.kind == "Rescaling"] == left


def test_where_zero_lies_between_two_bytes_only_the_border_moves():
    model = classifier(lambda x: layers.Conv2D(4, 3, padding="same", name="first")(scaled(x)), head=True)
    found = lowered(twin.describe(model))
    cut = twin.Twin(tuple(layer for layer in found.layers if layer.name in ("pixels", "scale", "first")))
    difference = np.abs(
        outputs(twin.build(cut, keras)) - outputs(keras.Model(model.inputs[0], model.get_layer("first").output))
    )
    assert difference[:, 1:-1, 1:-1].max() < 1e-5 < difference.max() < 0.02


def test_channels_whose_zeros_are_different_bytes_get_a_layer_where_there_is_padding():
    found = lowered(twin.describe(classifier(BODIES["padded channels"])))
    assert [layer.kind for layer in found.layers[:3]] == ["InputLayer", "DepthwiseConv2D", "Conv2D"]


def test_scaling_inside_becomes_two_steps():
    found = lowered(twin.describe(classifier(BODIES["inside"])))
    assert [layer.settings for layer in found.layers if layer.kind == "Rescaling"] == [
        {"scale": 0.5, "offset": 0.0},
        {"scale": 1.0, "offset": 0.25},
    ]


def test_the_softmax_can_be_left_out():
    model = classifier(BODIES["conv"])
    found = without_softmax(twin.describe(model))
    logits = keras.Model(model.inputs[0], model.get_layer("answers").output)
    np.testing.assert_allclose(outputs(twin.build(found, keras)), outputs(logits), atol=1e-5)


def test_a_model_without_a_softmax_at_its_end_is_refused():
    picture = keras.Input((8, 8, 3))
    model = keras.Model(picture, layers.Dense(4, activation="sigmoid", name="odd")(layers.Flatten()(picture)))
    with pytest.raises(ModelError, match=r"ends in 'odd_activation' \(Activation\); training needs a softmax"):
        without_softmax(twin.describe(model))


@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D", "Dense"])
def test_channels_are_scaled_where_they_come_in_and_where_they_go_out(kind):
    layer = {"Conv2D": layers.Conv2D(6, 3), "DepthwiseConv2D": layers.DepthwiseConv2D(3, depth_multiplier=2)}.get(
        kind, layers.Dense(6)
    )
    shape = (5, 5, 3) if kind != "Dense" else (3,)
    taken = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    expected = layer(taken)
    settings = {"use_bias": True}
    described = twin.Layer("x", kind, (), settings, tuple(layer.get_weights()))
    scale, offset = np.array([1.0, 2, 3]), np.array([0.5, -1, 2])
    moved = lowering.scaled_inputs(described, 1 / scale, -offset / scale)
    layer.set_weights(list(moved.weights))
    np.testing.assert_allclose(layer(taken * scale + offset), expected, atol=1e-4)
    factor, added = np.arange(1.0, 7), np.arange(6.0)
    layer.set_weights(list(lowering.scaled_outputs(described, factor, added).weights))
    np.testing.assert_allclose(layer(taken), np.asarray(expected) * factor + added, atol=1e-4)
