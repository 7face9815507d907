import logging
import shutil

import numpy as np
import pytest

from edgeproof.runtime import DataError
from edgeproof.train import checkpoints
from edgeproof.train.checkpoints import Checkpoint
from edgeproof.train.history import Epoch

HISTORY = tuple(Epoch(number, "head", 1 / number, 0.5, "test", 1.0, 0.25) for number in range(1, 6))


def checkpoint(step, phase="head", *, epochs=0):
    network = [np.full((2, 3), step, np.float32), np.array(-step, np.float32)]
    rest = [np.array(step), np.array([step, 2], np.uint32), np.zeros((0,), np.float16)]
    return Checkpoint(phase, step, HISTORY[:epochs], network, rest)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_read_again_with_its_dtypes_and_shapes(tmp_path):
    saved = checkpoint(7, epochs=2)
    checkpoints.save(tmp_path, saved)
    found = checkpoints.latest(tmp_path)
    assert (found.phase, found.step, found.history) == ("head", 7, HISTORY[:2])
    for one, other in zip([*found.network, *found.rest], [*saved.network, *saved.rest], strict=True):
        np.testing.assert_array_equal(one, other)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)


def test_arrays_come_back_in_their_order_when_there_are_many(tmp_path):
    many = [np.array(number) for number in range(1200)]
    checkpoints.save(tmp_path, Checkpoint("head", 1, (), many, many[:11]))
    found = checkpoints.latest(tmp_path)
    assert [int(array) for array in found.network] == list(range(1200))
    assert [int(array) for array in found.rest] == list(range(11))


def test_two_checkpoints_are_kept_and_the_second_phase_is_newer_than_the_first(tmp_path):
    for saved in (checkpoint(900), checkpoint(1000), checkpoint(5, "finetune"), checkpoint(10, "finetune")):
        checkpoints.save(tmp_path, saved)
    assert names(tmp_path) == [f"2-00000{step}.{kind}" for step in ("0005", "0010") for kind in ("json", "npz")]
    checkpoints.save(tmp_path, checkpoint(12, "finetune"))
    assert checkpoints.latest(tmp_path).step == 12


@pytest.mark.parametrize(
    "damage",
    ["arrays of another step", "arrays cut", "arrays gone", "note cut", "note of another kind", "note not a text"],
)
def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(damage, tmp_path, caplog):
    for step in (1, 2):
        checkpoints.save(tmp_path, checkpoint(step, epochs=step))
    arrays = tmp_path / "1-000000002.npz"
    if damage == "arrays gone":
        arrays.unlink()
    elif damage == "arrays of another step":
        shutil.copy(tmp_path / "1-000000001.npz", arrays)
    elif damage == "arrays cut":
        arrays.write_bytes(arrays.read_bytes()[:-100])
    else:
        content = {"note cut": b'{"phase": "he', "note of another kind": b"[]", "note not a text": b"\xff\xfe"}[damage]
        (tmp_path / "1-000000002.json").write_bytes(content)
    with caplog.at_level(logging.WARNING, "edgeproof"):
        assert checkpoints.latest(tmp_path).history == HISTORY[:1]
    assert "checkpoint 1-000000002.json is passed over" in caplog.text


def test_without_a_whole_checkpoint_there_is_none(tmp_path):
    assert checkpoints.latest(tmp_path / "gone") is None
    assert checkpoints.newest(tmp_path / "gone") is None
    checkpoints.save(tmp_path, checkpoint(1))
    (tmp_path / "1-000000001.npz").write_bytes(b"words")
    assert checkpoints.latest(tmp_path) is None
    assert checkpoints.there(tmp_path)


def test_arrays_without_their_note_are_no_checkpoint_and_go_with_the_next(tmp_path):
    for step in (1, 2):
        checkpoints.save(tmp_path, checkpoint(step))
    (tmp_path / "1-000000002.json").unlink()
    assert checkpoints.latest(tmp_path).step == 1
    checkpoints.save(tmp_path, checkpoint(3))
    assert names(tmp_path) == [f"1-00000000{step}.{kind}" for step in (1, 3) for kind in ("json", "npz")]


def test_the_best_is_kept_apart_from_what_is_resumed_from(tmp_path):
    assert checkpoints.best(tmp_path) is None
    for step in (3, 6):
        checkpoints.save_best(tmp_path, checkpoint(step))
    assert checkpoints.best(tmp_path).step == 6
    assert names(tmp_path) == ["best-000000006.npz", "best.json"]
    assert checkpoints.latest(tmp_path) is None
    for step in (9, 12, 15):
        checkpoints.save(tmp_path, checkpoint(step))
    assert checkpoints.best(tmp_path).step == 6


def test_a_full_disk_leaves_the_last_checkpoints_as_they_are(tmp_path, monkeypatch):
    for step in (1, 2):
        checkpoints.save(tmp_path, checkpoint(step))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(path, content):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(DataError, match=r"1-000000003\.npz cannot be written: No space left on device"):
        checkpoints.save(tmp_path, checkpoint(3))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert checkpoints.newest(tmp_path).name == "1-000000002.npz"
