import itertools
import logging

import numpy as np
import pytest

from edgeproof.runtime import DataError
from edgeproof.runtime.errors import Stopped
from edgeproof.train import checkpoints, history
from edgeproof.train.history import Epoch
from edgeproof.train.keeping import Keeper, best_of
from edgeproof.train.run import Run


class Killed(BaseException):
    pass


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def train(run, loop, patience=0):
    """Run a loop as a process does that has just begun."""
    Keeper(run).train(loop, patience=patience)


def killed_at(monkeypatch, name, call):
    """Die in a call of a function of `checkpoints`, before it does anything."""
    real, calls = getattr(checkpoints, name), itertools.count(1)

    def patched(*arguments):
        if next(calls) == call:
            raise Killed
        real(*arguments)

    monkeypatch.setattr(checkpoints, name, patched)


def assert_same(loop, state):
    for first, second in zip(itertools.chain(*loop.state), itertools.chain(*state), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.fixture(scope="module")
def whole(make_loop, tmp_path_factory):
    """What a loop comes to when a keeper runs it without a break, by its patience."""
    found = {}
    for patience in (0, 1):
        keeper, loop = Keeper(Run(tmp_path_factory.mktemp("whole"))), make_loop(1)
        keeper.train(loop, patience=patience)
        keeper.close()
        found[patience] = loop.state
    return found


def judged(monkeypatch, *top1s):
    """Let epochs have these scores on what is watched, by their numbers."""
    from edgeproof.train.loop import Loop

    real = Loop._judged

    def patched(loop, number, started):
        found = real(loop, number, started)
        return Epoch(number, found.phase, found.loss, found.top1, "validation", 0.0, top1s[number - 1])

    monkeypatch.setattr(Loop, "_judged", patched)


@pytest.mark.parametrize(
    ("name", "call", "patience"),
    [("save", 1, 0), ("save", 3, 0), ("save", 2, 1), ("save_best", 1, 1), ("save_best", 2, 1)],
)
def test_a_killed_training_comes_to_the_same_bits(name, call, patience, run, make_loop, whole, monkeypatch):
    with monkeypatch.context() as patch:
        killed_at(patch, name, call)
        with pytest.raises(Killed):
            train(run, make_loop(1), patience)
    keeper = Keeper(run)
    assert len(keeper.epochs) == (call - 1 if name == "save" else call)
    loop = make_loop(2 if keeper.epochs else 1)
    keeper.train(loop, patience=patience)
    assert_same(loop, whole[patience])
    assert [epoch.epoch for epoch in keeper.epochs] == list(range(1, len(keeper.epochs) + 1))
    assert history.read(run.history) == tuple(keeper.epochs)


def test_a_training_stopped_in_every_epoch_comes_to_the_same_bits(run, make_loop, whole, signal_at):
    signal_at(2, 5, 6, 11)
    for _ in range(4):
        with pytest.raises(Stopped):
            train(run, make_loop(1))
    loop, keeper = make_loop(3), Keeper(run)
    keeper.train(loop)
    assert_same(loop, whole[0])
    assert [epoch.epoch for epoch in keeper.epochs] == [1, 2, 3]


def test_patience_ends_the_phase_and_brings_the_best_back(run, make_loop, monkeypatch):
    judged(monkeypatch, 0.5, 0.4, 0.9)
    loop, keeper = make_loop(1), Keeper(run)
    keeper.train(loop, patience=1)
    assert len(keeper.epochs) == 2
    found, once = loop.state[0], make_loop(1)
    once.run(lambda epoch: False, lambda: None, offset=0)
    once.finish()
    for first, second in zip(found, once.state[0], strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_best_is_saved_again_where_a_kill_came_before_it(run, make_loop, monkeypatch):
    judged(monkeypatch, 0.5, 0.6, 0.1)
    with monkeypatch.context() as patch:
        killed_at(patch, "save_best", 2)
        with pytest.raises(Killed):
            train(run, make_loop(1), 2)
    assert checkpoints.best(run.checkpoints).step == 4
    Keeper(run).train(make_loop(1), patience=2)
    assert checkpoints.best(run.checkpoints).step == 8


def test_without_its_best_weights_a_training_keeps_its_last_and_says_so(run, make_loop, monkeypatch, caplog):
    judged(monkeypatch, 0.5, 0.4, 0.3)
    monkeypatch.setattr(checkpoints, "save_best", lambda *arguments: None)
    with caplog.at_level(logging.WARNING, "edgeproof"):
        Keeper(run).train(make_loop(1), patience=1)
    assert "the weights after epoch 1, the best, are gone: those after the last stay" in caplog.text


def test_what_lies_behind_the_first_phase_is_put_into_the_network(run, make_loop):
    first = make_loop(1, "head", epochs=1)
    Keeper(run).train(first)
    assert not Keeper(run).is_past("head", make_loop(2).model)
    second, keeper = make_loop(1, "finetune", epochs=1), Keeper(run)
    keeper.train(second)
    assert [(epoch.epoch, epoch.phase) for epoch in keeper.epochs] == [(1, "head"), (2, "finetune")]
    other = make_loop(2)
    assert Keeper(run).is_past("head", other.model)
    for one, saved in zip(other.state[0], checkpoints.latest(run.checkpoints).network, strict=True):
        np.testing.assert_array_equal(one, saved)


def test_a_checkpoint_of_another_network_is_refused(run, make_loop):
    keeper = Keeper(run)
    keeper.train(make_loop(1, epochs=1))
    saved = checkpoints.latest(run.checkpoints)
    checkpoints.save(run.checkpoints, checkpoints.Checkpoint("finetune", 5, saved.history, saved.network[:3], ()))
    with pytest.raises(DataError, match=r"saved from another network.*Start afresh with --no-resume"):
        Keeper(run).train(make_loop(1))


def test_damaged_checkpoints_cost_at_most_an_epoch_and_all_of_them_the_training(run, make_loop, whole, caplog):
    Keeper(run).train(make_loop(1))
    for path in sorted(run.checkpoints.glob("2-*.npz"), reverse=True):
        path.write_bytes(path.read_bytes()[:100])
        with caplog.at_level(logging.INFO, "edgeproof"):
            keeper = Keeper(run)
        assert len(keeper.epochs) == (2 if "no checkpoint" not in caplog.text else 0)
    assert "no checkpoint in it is whole; starting afresh" in caplog.text
    assert "resuming after 2 finished epochs, step 8 of phase finetune" in caplog.text
    loop = make_loop(1)
    keeper.train(loop)
    assert_same(loop, whole[0])


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_full_disk_ends_the_training_with_a_line_that_says_what_is_safe(call, run, make_loop, whole, monkeypatch):
    from pathlib import Path

    calls, write = itertools.count(1), Path.write_bytes

    def full(path, content):
        if next(calls) == call:
            path.touch()
            raise OSError(28, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError) as found:
            Keeper(run).train(make_loop(1))
    kept = checkpoints.newest(run.checkpoints)
    safe = f"The last good checkpoint is {kept};" if kept else "Nothing was trained yet;"
    assert str(found.value).startswith(f"{run.folder}: the training stopped. No space left on device. {safe}")
    assert bool(kept) == (call > 2)
    loop = make_loop(1)
    Keeper(run).train(loop)
    assert_same(loop, whole[0])


def test_the_first_of_the_best_epochs_is_the_best():
    epochs = [Epoch(number, "head", 1, 1, "test", 1, top1) for number, top1 in enumerate((0.1, 0.7, 0.7, 0.2))]
    assert best_of(epochs).epoch == 1
