import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeproof.train import config, distribution, fusion, network, optimizers

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3)).astype(np.float32)
LABELS = np.eye(3, dtype=np.float32)[np.arange(16) % 3]


@pytest.fixture(scope="module")
def model():
    """MobileNetV2 with the bundled weights, small, and a head of other numbers."""
    keras.utils.set_random_seed(0)
    return network.build(config.Network(alpha=0.35, size=32, weights="bundled", dense=8, dropout=0.0), 3)


def gradients(model, variables):
    """Of the mean loss of a training step."""
    with tf.GradientTape() as tape:
        loss = keras.losses.CategoricalCrossentropy()(LABELS, model(PIXELS, training=True))
    return tape.gradient(loss, [variable.value for variable in variables])


def small(layers):
    """A functional model of the layers one behind the other, with batch norms that have seen something."""
    keras.utils.set_random_seed(1)
    inputs = hidden = keras.Input((8, 8, 6))
    for layer in layers:
        hidden = layer(hidden)
    model = keras.Model(inputs, hidden)
    generator = np.random.default_rng(2)
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return model


def kinds(model):
    return [type(layer).__name__ for layer in model.layers[1:]]


@pytest.mark.parametrize(
    ("batch_norm", "frozen_layers"), [("frozen", 0), ("training", 0), ("training", 50), ("frozen", 50)]
)
def test_outputs_gradients_and_moving_statistics_are_those_of_the_network(model, batch_norm, frozen_layers):
    network.freeze(model, frozen_layers, batch_norm=batch_norm)
    fast, variables = fusion.fused(model), model.trainable_variables
    assert [id(variable) for variable in fast.trainable_variables] == [id(variable) for variable in variables]
    assert {id(variable) for variable in fast.variables} == {id(variable) for variable in model.variables}
    whole = np.asarray(model(PIXELS, training=False))
    assert np.ptp(whole, axis=0).max() > 0.01
    np.testing.assert_allclose(fast(PIXELS, training=False), whole, atol=1e-5)
    before = [np.asarray(variable) for variable in model.variables]
    wanted = gradients(model, variables)
    moved = [np.asarray(variable) for variable in model.variables]
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    found = gradients(fast, variables)
    # Maps of one pixel and 16 pictures: what is normalised over so few passes rounding on, manifold.
    apart = tf.linalg.global_norm([one - other for one, other in zip(found, wanted, strict=True)])
    assert apart < (1e-2 if batch_norm == "training" else 1e-5) * tf.linalg.global_norm(wanted)
    for variable, value, original in zip(model.variables, moved, before, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-3, atol=1e-4)
        variable.assign(original)
    assert any((one != other).any() for one, other in zip(moved, before, strict=True)) == (batch_norm == "training")


def test_a_trained_norm_has_the_gradients_and_statistics_of_keras():
    convolution = keras.layers.Conv2D(4, 3, use_bias=False)  # the gradient of a bias there is 0 but for rounding
    norm = keras.layers.BatchNormalization(momentum=0.5)
    model = small([convolution, norm, keras.layers.Conv2D(2, 2)])
    fast = fusion.fused(model)
    assert kinds(fast) == ["Conv2D", "FusedNorm", "Conv2D"]
    pictures = np.random.default_rng(3).normal(size=(5, 8, 8, 6)).astype(np.float32)
    statistics = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    found = []
    for each in (model, fast):
        norm.moving_mean.assign(statistics[0])
        norm.moving_variance.assign(statistics[1])
        with tf.GradientTape() as tape:
            outputs = each(pictures, training=True)
            loss = tf.reduce_sum(outputs**2)
        values = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        found.append([outputs, *values, norm.moving_mean.numpy(), norm.moving_variance.numpy()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())
    assert np.abs(found[0][-1] - statistics[1]).max() > 0.001


def test_a_frozen_norm_goes_into_the_convolution_before_it(model):
    network.freeze(model, 0, batch_norm="frozen")
    names = kinds(fusion.fused(model))
    assert "BatchNormalization" not in names
    assert names.count("FoldedConvolution") == kinds(model).count("BatchNormalization") == 52


def test_what_is_trained_is_fused(model):
    network.freeze(model, 50)
    names = kinds(fusion.fused(model))
    assert (names.count("FoldedConvolution"), names.count("FusedNorm")) == (17, 35)


@pytest.mark.parametrize(
    "convolution",
    [
        keras.layers.Conv2D(4, 3, strides=2, padding="same"),
        keras.layers.Conv2D(4, 3, use_bias=False),
        keras.layers.DepthwiseConv2D(3, padding="same"),
        keras.layers.DepthwiseConv2D(3, strides=2, use_bias=False),
    ],
)
def test_every_kind_of_convolution_is_folded(convolution):
    norm = keras.layers.BatchNormalization(trainable=False)
    model = small([convolution, norm])
    if convolution.use_bias:
        convolution.bias.assign(np.arange(convolution.bias.shape[0]))
    pictures = np.random.default_rng(3).normal(size=(2, 8, 8, 6)).astype(np.float32)
    fast = fusion.fused(model)
    assert kinds(fast) == ["FoldedConvolution"]
    np.testing.assert_allclose(fast(pictures), model(pictures), atol=1e-5)


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.BatchNormalization(trainable=False)],
        [keras.layers.Conv2D(4, 3, dilation_rate=2), keras.layers.BatchNormalization(trainable=False)],
        [keras.layers.Conv2D(4, 3, groups=2), keras.layers.BatchNormalization(trainable=False)],
        [keras.layers.DepthwiseConv2D(3, depth_multiplier=2), keras.layers.BatchNormalization(trainable=False)],
        [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(trainable=False, axis=1)],
        [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(trainable=False, scale=False)],
        [keras.layers.Flatten(), keras.layers.BatchNormalization()],
        [keras.layers.LayerNormalization()],
    ],
)
def test_what_it_was_not_made_for_stays_as_it_is(layers):
    model = small(layers)
    fast = fusion.fused(model)
    assert fast.layers[1:] == layers
    pictures = np.random.default_rng(3).normal(size=(2, 8, 8, 6)).astype(np.float32)
    np.testing.assert_array_equal(fast(pictures), model(pictures))


def test_a_convolution_that_others_take_too_is_not_folded():
    inputs = keras.Input((8, 8, 6))
    hidden = keras.layers.Conv2D(6, 3, padding="same")(inputs)
    normed = keras.layers.BatchNormalization(trainable=False)(hidden)
    model = keras.Model(inputs, keras.layers.Add()([hidden, normed]))
    fast = fusion.fused(model)
    assert kinds(fast) == ["Conv2D", "BatchNormalization", "Add"]
    assert kinds(fusion.fused(keras.Model(inputs, [hidden, normed]))) == ["Conv2D", "BatchNormalization"]


def test_several_replicas_keep_what_synchronises_them(model, monkeypatch):
    class Two:
        num_replicas_in_sync = 2

    monkeypatch.setattr(distribution, "strategy", lambda: Two)
    assert fusion.fused(model) is model


def test_weights_decay_as_in_the_network(model):
    network.freeze(model, 0, batch_norm="frozen")
    settings = config.Finetune(weight_decay=0.01)
    fast = fusion.fused(model)

    def decayed(trained):
        optimizer = optimizers.for_finetuning(settings, trained, 10)
        optimizer.build(model.trainable_variables)
        return [optimizer._use_weight_decay(variable) for variable in model.trainable_variables]

    assert decayed(fast) == decayed(model)
    assert 0 < sum(decayed(fast)) < len(model.trainable_variables)
