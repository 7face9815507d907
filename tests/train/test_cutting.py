import numpy as np
import pytest

from edgeproof.train import config, cutting, network

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """MobileNetV2 with the bundled weights, small."""
    return network.build(config.Network(alpha=0.35, size=32, weights="bundled", dense=8), 3)


@pytest.mark.parametrize(
    ("layers", "place"),
    [(0, None), (1, None), (2, "Conv1"), (50, "block_4_add"), (57, "block_5_add"), (154, "out_relu")],
)
def test_the_cut_is_the_last_place_before_a_trained_layer_where_one_small_tensor_crosses(layers, place):
    built = network.build(config.Network(alpha=0.35, size=96, weights="none"), 3)
    network.freeze(built, layers)
    found = cutting.boundary(built)
    if layers == 154:
        assert found in ("block_16_project_BN", "features")
        return
    assert found == place


def settings(frozen_layers):
    return config.Config(finetune=config.Finetune(frozen_layers=frozen_layers))


def assert_is_the_whole(cut, model):
    """Both parts, one behind the other, are the model, and all that is trained lies in the second."""
    whole = np.asarray(model(PIXELS, training=False))
    assert np.ptp(whole, axis=0).max() > 0.01
    np.testing.assert_allclose(cut.trained(cut.frozen(PIXELS), training=False), whole, atol=1e-6)
    assert not cut.frozen.trainable_weights
    assert {id(weight) for weight in cut.trained.trainable_weights} == {id(w) for w in model.trainable_weights}


def test_phase_1_trains_the_head_on_features(model):
    cut = cutting.for_head(model)
    assert_is_the_whole(cut, model)
    assert cut.frozen.output.shape == (None, 1280)
    assert {layer.name for layer in cut.trained.layers if layer.trainable_weights} == {"head", "probabilities"}


def test_phase_2_trains_what_lies_behind_a_small_tensor_before_the_first_trained_layer(model):
    for _ in range(2):  # what was built before is no part of the network
        cut = cutting.for_finetuning(model, settings(50))
    assert_is_the_whole(cut, model)
    assert cut.frozen.layers[-1].name == "block_4_add"
    assert len(cut.trained.trainable_weights) > len(cutting.for_head(model).trained.trainable_weights)


def test_where_nothing_is_frozen_the_network_is_not_cut(model):
    cut = cutting.for_finetuning(model, settings(0))
    assert cut.frozen is None
    assert cut.trained.input.shape == model.input.shape
    assert {id(weight) for weight in cut.trained.variables} == {id(weight) for weight in model.variables}
