"""A network of a few layers in the place of MobileNetV2, for tests of what is done with a network."""

import pytest


def small_network(settings, classes):
    """Layers with the names, the order and the kinds that a training looks for: it is built and trained in no time."""
    import keras

    from edgeproof.train import network

    inputs = keras.Input((settings.size, settings.size, 3), name=network.INPUT)
    hidden = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(inputs)
    hidden = keras.layers.Conv2D(8, 4, strides=4, name="frozen")(hidden)
    hidden = keras.layers.BatchNormalization(name="frozen_bn")(hidden)
    hidden = keras.layers.Conv2D(16, 2, strides=2, activation="relu", name="open")(hidden)
    hidden = keras.layers.BatchNormalization(name="open_bn")(hidden)
    hidden = keras.layers.GlobalAveragePooling2D(name=network.FEATURES)(hidden)
    hidden = keras.layers.Dense(settings.dense, activation="relu", name="head")(hidden)
    hidden = keras.layers.Dropout(settings.dropout, name="dropout")(hidden)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities")(hidden)
    return keras.Model(inputs, outputs, name="small")


@pytest.fixture(scope="session")
def make_small_network():
    """`small_network`, for tests that build one themselves."""
    return small_network


@pytest.fixture(scope="session")
def small_config(colour_config):
    """The settings of the colours' training for the small network: fewer layers to freeze, larger steps."""
    from msgspec.structs import replace

    return replace(
        colour_config,
        head=replace(colour_config.head, learning_rate=0.03),
        finetune=replace(colour_config.finetune, learning_rate=0.01, frozen_layers=3, epochs=2),
    )
