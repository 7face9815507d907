import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeproof.runtime import ConfigError
from edgeproof.train import distribution
from edgeproof.train.batches import Batches, Mixing, Shard, in_order
from edgeproof.train.distribution import Cluster
from edgeproof.train.run import Run
from edgeproof.train.stopping import Stop


def environment(cluster, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


PAIR = {"worker": ["a:1", "b:2"]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"TF_CONFIG": " "}, None),
        (environment({"worker": ["a:1"]}), None),
        (environment(PAIR), Cluster(("a:1", "b:2"), 0)),
        (environment(PAIR, index=1), Cluster(("a:1", "b:2"), 1)),
        (environment({"worker": ["b:2"], "chief": ["a:1"]}, "chief"), Cluster(("a:1", "b:2"), 0)),
        (environment({"worker": ["b:2"], "chief": ["a:1"]}, "worker"), Cluster(("a:1", "b:2"), 1)),
    ],
)
def test_the_cluster_is_the_one_that_tf_config_names(given, expected):
    found = distribution.cluster(given)
    assert found == expected
    assert found is None or found.is_chief == (found.index == 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("words", r"TF_CONFIG is not as TensorFlow defines it \(Expecting value"),
        ("[]", r"TF_CONFIG is not as TensorFlow defines it"),
        ('{"cluster": {"worker": ["a:1"]}}', r"defines it \(no 'task'\)\. Expected .*\"index\": 0"),
        (environment(PAIR, index=2)["TF_CONFIG"], r"no task 'worker' 2 among 2 worker\. Give chief and worker alone"),
        (environment(PAIR, index=-1)["TF_CONFIG"], r"no task 'worker' -1"),
        (environment(PAIR, "evaluator")["TF_CONFIG"], r"no 'evaluator'"),
        (environment({**PAIR, "ps": ["c:3"]}, "ps")["TF_CONFIG"], r"no task 'ps' 0 among 2 worker, 1 ps"),
    ],
)
def test_a_malformed_tf_config_is_refused_in_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        distribution.cluster({"TF_CONFIG": text})
    assert "\n" not in str(caught.value)


# --- on one machine nothing changes -----------------------------------------------------------------------------


def test_without_a_cluster_the_strategy_is_tensorflows_default():
    assert distribution.strategy() is tf.distribute.get_strategy()
    assert distribution.shard() == Shard(0, 1, 1)
    assert distribution.is_chief()
    assert not distribution.is_shared()
    assert distribution.total(3) == 3


def test_one_process_works_in_the_runs_own_folder_and_stops_on_its_own_signal(tmp_path):
    run = Run(tmp_path)
    with distribution.folder(run) as place:
        assert place is run
    stop = Stop()
    assert not distribution.anywhere(stop)
    stop.requested = 2
    assert distribution.anywhere(stop)
    assert stop.requested == 2


def test_without_a_gpu_everything_is_computed_in_single_precision():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    optimizer = keras.optimizers.Adam()
    with distribution.precision(model):
        assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert distribution.scaled(optimizer) is optimizer
    assert distribution.local(model) is model


def test_with_a_gpu_layers_compute_in_half_precision_but_the_last_while_the_block_runs(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one"])
    last = keras.layers.Dense(2, activation="softmax", name="probabilities")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="head"), last])
    with distribution.precision(model):
        assert model.get_layer("head").compute_dtype == "float16"
        assert model(np.ones((1, 4), np.float32)).dtype == tf.float32
        assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("head").compute_dtype == "float32"
    assert type(distribution.scaled(keras.optimizers.Adam())).__name__ == "LossScaleOptimizer"


# --- parts of a step --------------------------------------------------------------------------------------------


class Numbers:
    """A source whose inputs are the pictures' numbers."""

    shape = (1, 1, 1)

    def prepare(self, epoch):
        pass

    def inputs(self, epoch, numbers):
        return numbers.reshape(-1, 1, 1, 1).astype(np.float32)


ONE = Shard()


def batches(shard=ONE, count=10, size=4, **more):
    return Batches(Numbers(), np.arange(count) % 3, 3, size, 7, shard=shard, **more)


@pytest.mark.parametrize("total", [2, 3])
@pytest.mark.parametrize("mixing", [Mixing(), Mixing(mixup=1.0)])
def test_the_parts_of_a_step_are_together_the_step_of_one_machine(total, mixing):
    whole = batches(mixing=mixing)
    for step in range(2 * whole.steps_per_epoch):
        inputs, labels, weights = whole.batch(step)
        parts = [batches(Shard(k, 1, total), mixing=mixing).batch(step, k) for k in range(total)]
        counted = [part for part in parts if part[2].any()]
        np.testing.assert_array_equal(np.concatenate([part[0] for part in counted]), inputs)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in counted]), labels)
        # As Keras has it: the mean of each part, weights and all, divided by the number of replicas, and summed.
        losses = [float((part[0].ravel() * part[2]).mean()) / total for part in parts]
        assert sum(losses) == pytest.approx(float((inputs.ravel() * weights).mean()), rel=1e-6)
        assert all(len(part[0]) for part in parts)


def test_the_pipeline_has_an_element_for_each_replica_of_the_process():
    shard = Shard(2, 2, 4)
    found = [inputs.numpy().ravel().tolist() for inputs, _, _ in batches(shard, size=8).dataset(0, 1)]
    assert found == [batches(shard, size=8).batch(0, k)[0].ravel().tolist() for k in (2, 3)]


@pytest.mark.parametrize("count", [7, 8, 9, 17])
def test_every_picture_is_watched_once_and_no_replica_gets_nothing(count):
    seen, steps = [], set()
    for k in range(3):
        parts = list(in_order(Numbers(), np.zeros(count, np.int64), 3, 2, Shard(k, 1, 3)))
        steps.add(len(parts))
        assert all(len(inputs) for inputs, _ in parts)
        seen += [number for inputs, _ in parts for number in inputs.numpy().ravel().astype(int).tolist()]
    assert sorted(seen) == list(range(count))
    assert len(steps) == 1
    with pytest.raises(ValueError, match="at least 3 pictures, got 2"):
        in_order(Numbers(), np.zeros(2, np.int64), 3, 2, Shard(0, 1, 3))


REPLICAS = """
import sys
import keras, numpy as np, tensorflow as tf
from edgeproof.train import distribution
from edgeproof.train.batches import Batches, Mixing
count = int(sys.argv[1])
if count > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    mirrored = tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(count)])
    distribution.strategy = lambda: mirrored
keras.utils.set_random_seed(0)
class Source:
    shape = (6,)
    def prepare(self, epoch): pass
    def inputs(self, epoch, numbers): return np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)[numbers]
def build():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), keras.layers.BatchNormalization(),
        keras.layers.Dense(3, activation="softmax")])
from edgeproof.train.loop import Loop, Watched, compiled
model = distribution.built(build)
with distribution.strategy().scope():
    compiled(model, keras.optimizers.SGD(0.1), 0.0)
classes = np.arange(30) % 3
plan = Batches(Source(), classes, 3, 7, 0, shard=distribution.shard())
loop = Loop(model, model, plan, Watched("test", Source(), classes, 3), "head", 2)
found = []
loop.run(lambda epoch: found.append(epoch) or True, lambda: None, offset=0)
copy = distribution.local(model)
print([each.watched_loss for each in found] + [float(np.abs(weight).sum()) for weight in copy.get_weights()])
"""


@pytest.mark.long
def test_two_replicas_end_with_the_weights_and_the_loss_of_one():
    """Uneven parts, a partial last step and batch norm in training mode included."""
    found = []
    for count in (1, 2):
        child = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", REPLICAS, str(count)],
            capture_output=True,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        )
        assert child.returncode == 0, child.stderr[-2000:]
        found.append(json.loads(child.stdout.splitlines()[-1]))
    # A bias before batch norm is 0 but for rounding.
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)
