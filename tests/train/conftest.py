"""A network of a few layers in the place of MobileNetV2, for tests of what is done with a network."""

import itertools
import os
import signal

import numpy as np
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


class Patches:
    """Random inputs whose mean tells their class: a `Source` without pictures."""

    shape = (4, 4, 3)

    def __init__(self, count):
        self.classes = np.arange(count) % 3
        noise = np.random.default_rng(4).normal(size=(count, *self.shape))
        self.values = (noise + self.classes[:, np.newaxis, np.newaxis, np.newaxis]).astype(np.float32)
        self.prepared = []

    def prepare(self, epoch):
        self.prepared.append(epoch)

    def inputs(self, epoch, numbers):
        return self.values[numbers] * np.float32(1 + epoch)


def loop_of_patches():
    """A loop of four steps an epoch, over a few layers with all that has a state: dropout, batch norm, an average."""
    import keras

    from edgeproof.train import optimizers
    from edgeproof.train.batches import Batches, Mixing
    from edgeproof.train.config import Finetune
    from edgeproof.train.loop import Loop, Watched, compiled

    keras.utils.set_random_seed(1)
    inputs = keras.Input(Patches.shape)
    hidden = keras.layers.Conv2D(4, 2, activation="relu")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(0.3)(keras.layers.Flatten()(hidden))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(hidden))
    trained, watched = Patches(30), Patches(12)
    settings = Finetune(learning_rate=0.02, optimizer="muon", schedule="cosine", weight_decay=0.01, ema=0.8)
    plan = Batches(trained, trained.classes, 3, 8, 1, Mixing(0.4, 0.4))
    optimizer = optimizers.for_finetuning(settings, model, 3 * plan.steps_per_epoch)
    seen = Watched("validation", watched, watched.classes, 3)
    return Loop(compiled(model, optimizer, 0.1), model, plan, seen, "finetune", 3)


@pytest.fixture(scope="session")
def make_loop():
    """Make a loop as another process would have it: one that begins for seed 1, of other numbers for another seed.

    It is one loop with its state set anew, since its graphs are traced when it first runs.
    """
    loop = loop_of_patches()
    first = loop.state

    def make(seed, phase="finetune", *, epochs=3):
        loop.phase, loop.epochs, loop.step = phase, epochs, 0
        loop.state = tuple([array + array.dtype.type(seed - 1) for array in arrays] for arrays in first)
        loop.plan.source.prepared.clear()
        return loop

    return make


@pytest.fixture
def signal_at(monkeypatch, make_loop):
    """Let this process get a signal while the steps of these numbers are done, counted over all runs from 1."""

    def arrange(*steps, number=signal.SIGTERM):
        done, loop = itertools.count(1), make_loop(1)
        train = loop._train

        def signalled(batch):
            train(batch)
            if next(done) in steps:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(loop, "_train", signalled)

    return arrange
