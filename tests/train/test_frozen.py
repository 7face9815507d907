from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from edgeproof.train import config, cutting, network
from edgeproof.train.frozen import Frozen

PIXELS = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    """MobileNetV2 with the bundled weights, small, and its first 50 layers frozen."""
    built = network.build(config.Network(alpha=0.35, size=32, weights="bundled", dense=8), 3)
    network.freeze(built, 50)
    return built


@pytest.fixture(scope="module")
def part(model):
    return cutting.part(model, "block_4_add")


def test_litert_gives_keras_outputs(part):
    found = Frozen(part)
    wanted = np.asarray(part(PIXELS.astype(np.float32), training=False))
    assert found.shape == wanted.shape[1:]
    np.testing.assert_allclose(found.outputs(PIXELS), wanted, atol=1e-4 * np.abs(wanted).max())
    assert found.agrees(PIXELS)
    assert np.ptp(wanted, axis=0).max() > 0.1


def test_the_batch_makes_no_difference(part):
    found = Frozen(part)
    whole = found.outputs(PIXELS)
    np.testing.assert_array_equal(np.concatenate([found.outputs(PIXELS[:64]), found.outputs(PIXELS[64:])]), whole)


def test_threads_get_the_same_numbers(part):
    found = Frozen(part)
    whole = found.outputs(PIXELS)
    with ThreadPoolExecutor(4) as pool:
        for outputs in pool.map(found.outputs, [PIXELS] * 8):
            np.testing.assert_array_equal(outputs, whole)


def test_another_networks_numbers_do_not_agree(part):
    found = Frozen(part)
    other = keras.models.clone_model(part)  # with weights of its own
    found._keras = other
    assert not found.agrees(PIXELS)


def test_where_litert_gives_other_numbers_keras_runs_the_part(part, caplog):
    found = Frozen(part)
    found.check(PIXELS)
    assert "Keras runs them" not in caplog.text
    other = keras.models.clone_model(part)
    found._keras = other
    found.check(PIXELS)
    assert "Keras runs them, which takes longer" in caplog.text
    wanted = np.asarray(other(PIXELS.astype(np.float32), training=False))
    np.testing.assert_array_equal(found.outputs(PIXELS), wanted)


def test_a_vector_is_given_as_a_vector(model):
    found = Frozen(network.feature_model(model))
    assert found.outputs(PIXELS[:3]).shape == (3, 1280)
