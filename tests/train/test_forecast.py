import keras
import pytest
from msgspec.structs import replace

from edgeproof.train import config, distribution, forecast, network


@pytest.fixture(scope="module")
def model():
    return network.build(config.Network(alpha=0.35, size=32, weights="none", dense=8), 3)


@pytest.fixture
def settings():
    return config.Config(finetune=config.Finetune(epochs=2, frozen_layers=0))


def with_frozen(settings, frozen_layers):
    return replace(settings, finetune=replace(settings.finetune, frozen_layers=frozen_layers))


def test_what_is_multiplied_is_counted():
    inputs = keras.Input((8, 8, 3))
    convolution = keras.layers.Conv2D(4, 3, padding="same")
    depthwise = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")
    dense = keras.layers.Dense(5)
    norm = keras.layers.BatchNormalization()
    dense(keras.layers.Flatten()(norm(depthwise(convolution(inputs)))))
    found = [forecast.multiply_adds(layer) for layer in (convolution, depthwise, norm, dense)]
    assert found == [8 * 8 * 3 * 3 * 3 * 4, 4 * 4 * 3 * 3 * 4, 0, 4 * 4 * 4 * 5]


def test_the_forecast_is_that_of_the_trained_layers(model, settings):
    whole = forecast.finetuning(model, settings, 100)
    assert whole == 2 * 100 * forecast.TIMES
    some = forecast.finetuning(model, with_frozen(settings, 50), 100)
    assert 0.3 * whole < some < 0.9 * whole
    assert forecast.finetuning(model, with_frozen(settings, None), 100) == some, "50 is MobileNetV2's own"
    assert forecast.finetuning(model, with_frozen(settings, 154), 100) == 0


def test_nothing_is_foretold_for_several_workers(model, settings, monkeypatch):
    monkeypatch.setattr(distribution, "is_shared", lambda: True)
    assert forecast.finetuning(model, settings, 100) is None
