import keras
import numpy as np
import pytest

from edgeproof.runtime import ConfigError
from edgeproof.train import network
from edgeproof.train.config import Config, Finetune, Network

SETTINGS = Network(alpha=0.35, size=32, weights="none", dense=8, dropout=0.5)


@pytest.fixture(scope="module")
def model():
    return network.build(SETTINGS, 3)


def test_raw_pixels_go_in_and_probabilities_come_out(model):
    assert model.inputs[0].shape == (None, 32, 32, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    found = np.asarray(model(pixels, training=False))
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_pixels_are_scaled_to_minus_one_to_one_inside_the_model(model):
    scaled = keras.Model(model.inputs[0], model.get_layer("scaling").output)
    pixels = np.zeros((1, 32, 32, 3), np.float32)
    pixels[0, 0, 0], pixels[0, 0, 1] = 255, 127.5
    found = np.asarray(scaled(pixels))
    np.testing.assert_allclose(found[0, 0, :3, 0], [1, 0, -1], atol=1e-6)


def test_the_model_is_flat(model):
    assert not [layer.name for layer in model.layers if isinstance(layer, keras.Model)]


def test_the_head_has_the_settings_sizes(model):
    assert model.get_layer("head").units == 8
    assert model.get_layer("head").activation is keras.activations.relu
    assert model.get_layer("dropout").rate == 0.5
    assert model.name == "mobilenetv2_035_32"


def test_the_bases_layers_are_those_of_keras_own_network_in_its_order(model):
    own = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)
    ours = network.base_layers(model)
    assert len(ours) == len(own.layers) == 154
    assert [type(layer) for layer in ours] == [type(layer) for layer in own.layers]
    assert [layer.name for layer in ours][1:] == [layer.name for layer in own.layers][1:]  # the input has our name


@pytest.mark.parametrize("count", [0, 1, 50, 154])
def test_the_first_layers_are_frozen_and_the_others_and_the_head_are_not(model, count):
    network.freeze(model, count)
    trainable = [layer.trainable for layer in network.base_layers(model)]
    assert trainable == [False] * count + [True] * (154 - count)
    assert model.get_layer("head").trainable
    assert model.get_layer("probabilities").trainable


def test_with_frozen_batch_norm_no_batch_norm_is_trained_and_all_else_is(model):
    network.freeze(model, 50, batch_norm="frozen")
    for number, layer in enumerate(network.base_layers(model)):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        assert layer.trainable == (number >= 50 and not is_norm), layer.name


def test_freezing_again_takes_back_what_was_frozen_before(model):
    network.freeze(model, 154, batch_norm="frozen")
    network.freeze(model, 0)
    assert all(layer.trainable for layer in network.base_layers(model))


def test_more_frozen_layers_than_there_are_is_refused(model):
    with pytest.raises(ConfigError, match=r"finetune\.frozen_layers is 155; the base has 154 layers\. Give fewer"):
        network.freeze(model, 155)


def statistics(model, frozen_layers):
    """Moving means, of batch norm among the first layers and of the others."""
    parts = network.base_layers(model)[:frozen_layers], network.base_layers(model)[frozen_layers:]
    norms = keras.layers.BatchNormalization
    return [[layer.moving_mean.numpy() for layer in part if isinstance(layer, norms)] for part in parts]


@pytest.mark.parametrize("batch_norm", ["training", "frozen"])
def test_the_statistics_of_frozen_batch_norm_do_not_move_in_training(model, batch_norm):
    network.freeze(model, 50, batch_norm=batch_norm)
    before = statistics(model, 50)
    model(np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32), training=True)
    after = statistics(model, 50)
    moved = [
        [not np.array_equal(a, b) for a, b in zip(*parts, strict=True)] for parts in zip(before, after, strict=True)
    ]
    assert not any(moved[0])
    assert all(moved[1]) if batch_norm == "training" else not any(moved[1])


def test_features_and_head_together_are_the_model_and_share_its_weights(model):
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    features, head = network.feature_model(model), network.head_model(model)
    assert features.outputs[0].shape == (None, 1280)
    together = np.asarray(head(features(pixels, training=False), training=False))
    np.testing.assert_allclose(together, np.asarray(model(pixels, training=False)), atol=1e-6)
    assert head.get_layer("head") is model.get_layer("head")


@pytest.mark.parametrize(("given", "expected"), [(None, 50), (7, 7), (0, 0)])
def test_the_settings_or_else_the_backbone_say_what_phase_2_leaves_frozen(model, given, expected):
    network.freeze_as_set(model, Config(network=SETTINGS, finetune=Finetune(frozen_layers=given)))
    assert [layer.trainable for layer in network.base_layers(model)] == [False] * expected + [True] * (154 - expected)


def test_a_model_files_first_third_stays_frozen(tmp_path):
    base = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)
    base.save(tmp_path / "base.keras")
    settings = Config(network=Network(backbone=str(tmp_path / "base.keras"), size=32, dense=8))
    built = network.build(settings.network, 3)
    network.freeze_as_set(built, settings)
    assert [layer.trainable for layer in network.base_layers(built)].count(False) == 154 // 3
    for one, other in zip(base.get_weights(), built.get_weights(), strict=False):
        np.testing.assert_array_equal(one, other)
