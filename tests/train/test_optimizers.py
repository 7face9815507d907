import keras
import numpy as np
import pytest
from msgspec.structs import replace

from edgeproof.train import optimizers
from edgeproof.train.config import Finetune, Head

PLAIN = Finetune(learning_rate=0.5)


@pytest.fixture
def network():
    inputs = keras.Input((4, 4, 2))
    hidden = keras.layers.DepthwiseConv2D(4, name="depthwise")(inputs)
    hidden = keras.layers.Flatten()(hidden)
    hidden = keras.layers.Dense(2, name="first")(hidden)
    hidden = keras.layers.Dense(2, name="second")(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, name="last")(hidden))


def moved(optimizer, network):
    """How far one step against a gradient of 1 moves each variable."""
    before = [variable.numpy() for variable in network.trainable_variables]
    optimizer.build(network.trainable_variables)
    optimizer.apply([np.ones(v.shape, np.float32) for v in network.trainable_variables])
    pairs = zip(network.trainable_variables, before, strict=True)
    return {variable.path: float(np.abs(variable.numpy() - old).mean()) for variable, old in pairs}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "Adam"),
        ({"weight_decay": 0.01}, "LayerwiseAdamW"),
        ({"schedule": "cosine"}, "Adam"),
        ({"optimizer": "muon"}, "LayerwiseMuon"),
    ],
)
def test_the_settings_shape_the_optimiser(settings, kind, network):
    optimizer = optimizers.for_finetuning(replace(PLAIN, **settings), network, 100)
    assert type(optimizer).__name__ == kind


def test_the_rate_warms_up_and_follows_a_cosine(network):
    optimizer = optimizers.for_finetuning(replace(PLAIN, schedule="cosine", warmup=0.1), network, 100)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 55, 100)]
    assert rates == pytest.approx([0, 0.25, 0.5, 0.25, 0], abs=1e-3)


def test_the_head_starts_at_its_full_rate(network):
    optimizer = optimizers.for_head(Head(learning_rate=0.5, schedule="cosine"), network, 100)
    assert [float(optimizer._learning_rate(step)) for step in (0, 50, 100)] == pytest.approx([0.5, 0.25, 0], abs=1e-3)
    assert float(optimizers.for_head(Head(learning_rate=0.5), network, 100).learning_rate.numpy()) == 0.5


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_lower_layers_take_smaller_steps_and_the_head_whole_ones(kind, network):
    base, settings = network.layers[3:5], replace(PLAIN, optimizer=kind, layer_decay=0.25)
    steps = moved(optimizers.for_finetuning(settings, network, 100, base), network)
    assert steps["first/kernel"] == pytest.approx(0.25 * steps["last/kernel"], rel=1e-3)
    assert steps["second/kernel"] == pytest.approx(0.5 * steps["last/kernel"], rel=1e-3)


def test_rates_by_layer_are_those_of_orthogonalised_steps_too(convolutions):
    def steps(decay):
        settings = replace(PLAIN, optimizer="muon", layer_decay=decay)
        again = keras.models.clone_model(convolutions)
        again.set_weights(convolutions.get_weights())
        return moved(optimizers.for_finetuning(settings, again, 100, again.layers[1:2]), again)

    whole, less = steps(1.0), steps(0.25)
    assert less["pointwise/kernel"] == pytest.approx(0.25 * whole["pointwise/kernel"], rel=1e-3)
    assert less["square/kernel"] == pytest.approx(whole["square/kernel"], rel=1e-3)


@pytest.fixture
def convolutions():
    inputs = keras.Input((4, 4, 6))
    hidden = keras.layers.Conv2D(8, 1, name="pointwise")(inputs)
    hidden = keras.layers.DepthwiseConv2D(3, name="depthwise")(hidden)
    hidden = keras.layers.Conv2D(16, 2, name="square")(hidden)
    hidden = keras.layers.Dense(5, name="hidden")(keras.layers.Flatten()(hidden))
    return keras.Model(inputs, keras.layers.Dense(4, name="last")(hidden))


def test_muon_moves_every_direction_of_a_kernel_as_far_as_adam_moves_a_weight(convolutions):
    optimizer = optimizers.for_finetuning(replace(PLAIN, optimizer="muon"), convolutions, 100)
    optimizer.build(convolutions.trainable_variables)
    before = {variable.path: variable.numpy() for variable in convolutions.trainable_variables}
    draw = np.random.default_rng(0)
    # A gradient of nearly one direction, as they are.
    gradients = [np.ones(v.shape) + 0.1 * draw.standard_normal(v.shape) for v in convolutions.trainable_variables]
    optimizer.apply([gradient.astype(np.float32) for gradient in gradients])
    steps = {v.path: (before[v.path] - v.numpy()) / 0.5 for v in convolutions.trainable_variables}
    for name in ("pointwise/kernel", "square/kernel"):
        matrix = steps[name].reshape(-1, steps[name].shape[-1])
        found = np.linalg.svd(matrix, compute_uv=False) / (0.2 * np.sqrt(max(matrix.shape)))
        assert 0.5 < found.min() <= found.max() < 1.3
    for name in ("depthwise/kernel", "hidden/kernel", "last/kernel", "square/bias"):
        np.testing.assert_allclose(steps[name], 1, rtol=1e-3)  # Adam's first step


def test_rates_are_given_to_what_is_trained_alone(network):
    network.get_layer("first").trainable = False
    rates = optimizers.layer_rates(network.layers[3:5], 0.25)
    assert rates == {"second/kernel": 0.25, "second/bias": 0.25}
    assert optimizers.layer_rates(network.layers, 1.0) == {}


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_kernels_decay_but_depthwise_ones_and_biases_do_not(kind, network):
    weighty = [layer for layer in network.layers if layer.weights]
    for layer in weighty:
        layer.bias.assign(np.ones(layer.bias.shape))
    optimizer = optimizers.for_finetuning(replace(PLAIN, optimizer=kind, weight_decay=0.1), network, 100)
    optimizer.build(network.trainable_variables)
    kernels = [layer.kernel.numpy() for layer in weighty]
    optimizer.apply([np.zeros(v.shape, np.float32) for v in network.trainable_variables])
    for layer, before in zip(weighty, kernels, strict=True):
        kept = 1 if layer.name == "depthwise" else 1 - 0.5 * 0.1
        np.testing.assert_allclose(layer.kernel.numpy(), before * kept, rtol=1e-5)
        np.testing.assert_array_equal(layer.bias.numpy(), 1)


def test_the_average_follows_the_weights(network):
    optimizer = optimizers.for_finetuning(replace(PLAIN, ema=0.5), network, 100)
    before = network.get_layer("last").kernel.numpy()
    moved(optimizer, network)
    after = network.get_layer("last").kernel.numpy()
    optimizer.finalize_variable_values(network.trainable_variables)
    average = network.get_layer("last").kernel.numpy()
    assert not np.allclose(before, after)
    assert ((average - after) * (average - before) <= 0).all()
