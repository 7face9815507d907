import logging
import shutil

import keras
import numpy as np
import pytest

from edgeproof.train import checkpoints
from edgeproof.train.history import Epoch

HISTORY = [Epoch(number, "head" if number == 1 else "finetune", 1 / number, 0.5, 1.0, 0.25) for number in range(1, 6)]
PICTURES = np.random.default_rng(0).random((8, 3)).astype(np.float32)
TARGETS = np.eye(2, dtype=np.float32)[[0, 1] * 4]


@pytest.fixture
def model():
    """A compiled model of a few weights whose optimiser has made three steps."""
    keras.utils.set_random_seed(1)
    found = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    found.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy", metrics=["accuracy"])
    found.fit(PICTURES, TARGETS, epochs=3, batch_size=8, verbose=0)
    return found


def test_the_newest_checkpoint_brings_model_optimiser_and_history(model, tmp_path):
    checkpoints.save(tmp_path, model, HISTORY[:1])
    model.fit(PICTURES, TARGETS, epochs=1, batch_size=8, verbose=0)
    checkpoints.save(tmp_path, model, HISTORY[:2])
    found = checkpoints.latest(tmp_path)
    assert found.history == tuple(HISTORY[:2])
    assert int(found.model.optimizer.iterations.numpy()) == 4
    for one, other in zip(found.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(model, tmp_path):
    checkpoints.save(tmp_path, model, HISTORY[:1])
    resumed = checkpoints.latest(tmp_path).model
    for each in (model, resumed):
        each.fit(PICTURES, TARGETS, epochs=2, batch_size=8, shuffle=False, verbose=0)
    for one, other in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_two_checkpoints_are_kept(model, tmp_path):
    for count in range(1, 5):
        checkpoints.save(tmp_path, model, HISTORY[:count])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-003.json",
        "epoch-003.keras",
        "epoch-004.json",
        "epoch-004.keras",
    ]


@pytest.mark.parametrize(
    "damage",
    ["model of another epoch", "model cut", "model gone", "note cut", "note of another kind", "note not a text"],
)
def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(damage, model, tmp_path, caplog):
    for count in (1, 2):
        checkpoints.save(tmp_path, model, HISTORY[:count])
        model.fit(PICTURES, TARGETS, epochs=1, batch_size=8, verbose=0)
    if damage == "model gone":
        (tmp_path / "epoch-002.keras").unlink()
    elif damage == "model of another epoch":
        shutil.copy(tmp_path / "epoch-001.keras", tmp_path / "epoch-002.keras")
    elif damage == "model cut":
        path = tmp_path / "epoch-002.keras"
        path.write_bytes(path.read_bytes()[:-100])
    else:
        content = {"note cut": b'{"model": "epo', "note of another kind": b"[]", "note not a text": b"\xff\xfe"}[damage]
        (tmp_path / "epoch-002.json").write_bytes(content)
    with caplog.at_level(logging.WARNING, "edgeproof"):
        assert checkpoints.latest(tmp_path).history == tuple(HISTORY[:1])
    assert "checkpoint epoch-002.json is passed over" in caplog.text


def test_a_model_without_its_note_is_no_checkpoint(model, tmp_path):
    for count in (1, 2):
        checkpoints.save(tmp_path, model, HISTORY[:count])
    (tmp_path / "epoch-002.json").unlink()
    assert len(checkpoints.latest(tmp_path).history) == 1


def test_without_a_whole_checkpoint_there_is_none(model, tmp_path):
    assert checkpoints.latest(tmp_path / "gone") is None
    checkpoints.save(tmp_path, model, HISTORY[:1])
    (tmp_path / "epoch-001.keras").write_bytes(b"words")
    assert checkpoints.latest(tmp_path) is None
