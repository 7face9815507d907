import itertools
import signal

import numpy as np
import pytest

from edgeproof.runtime.errors import Stopped
from edgeproof.train import loop as loops


def run(loop, **more):
    """Run a loop; returns its epochs and what was saved between them."""
    epochs, saved = [], []

    def after_epoch(epoch):
        epochs.append(epoch)
        return True

    try:
        loop.run(after_epoch, lambda: saved.append((loop.step, loop.state)), offset=0, **more)
    except Stopped as error:
        saved.append(error)
    return epochs, saved


def assert_same(loop, state):
    for first, second in zip(itertools.chain(*loop.state), itertools.chain(*state), strict=True):
        np.testing.assert_array_equal(first, second)


def told(epoch):
    """What an epoch says of itself, but for the time that it took."""
    return (epoch.epoch, epoch.loss, epoch.top1, epoch.watched_loss, epoch.watched_top1, epoch.learning_rate)


@pytest.fixture(scope="module")
def whole(make_loop):
    """What a loop came to that ran without a break, and its epochs."""
    loop = make_loop(1)
    epochs, _ = run(loop)
    assert loop.step == loop.steps == 12
    return loop.state, epochs


def test_the_loop_learns_and_reports_every_epoch(whole):
    _, epochs = whole
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert {(epoch.phase, epoch.watched) for epoch in epochs} == {("finetune", "validation")}
    assert epochs[-1].top1 > epochs[0].top1
    assert all(epoch.seconds > 0 for epoch in epochs)
    assert epochs[0].learning_rate > epochs[1].learning_rate > epochs[2].learning_rate == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("step", [1, 6, 11])
def test_a_loop_stopped_within_an_epoch_goes_on_to_the_same_bits(step, make_loop, whole, signal_at):
    signal_at(step)
    epochs, ((saved_step, state), error) = run(make_loop(1))
    assert saved_step == step
    assert f"stopped at step {step} of 12 of phase finetune; all of it is saved" in str(error)
    assert error.status == 143
    second = make_loop(2)  # other weights, which the state replaces
    second.state, second.step = state, saved_step
    epochs += run(second)[0]
    assert_same(second, whole[0])
    assert [told(epoch) for epoch in epochs] == [told(epoch) for epoch in whole[1]]


def test_a_signal_in_the_last_step_of_an_epoch_waits_for_the_epochs_end(make_loop, signal_at):
    signal_at(4, number=signal.SIGINT)
    epochs, saved = run(make_loop(1))
    assert len(epochs) == 1
    (error,) = saved
    assert str(error).startswith("stopped after epoch 1;")
    assert error.status == 130


def test_a_signal_while_an_epoch_is_judged_is_not_lost(make_loop):
    loop = make_loop(1)
    with pytest.raises(Stopped, match="after epoch 1"):
        loop.run(lambda epoch: not signal.raise_signal(signal.SIGTERM), lambda: None, offset=0)


def test_no_other_epoch_follows_where_none_is_wanted(make_loop):
    loop, numbers = make_loop(1), []
    loop.run(lambda epoch: numbers.append(epoch.epoch), lambda: None, offset=5)
    assert numbers == [6]
    assert loop.step == 4


def test_inputs_are_prepared_for_the_epochs_that_are_still_to_come(make_loop):
    loop = make_loop(1)
    loop.step = 8
    run(loop)
    assert loop.plan.source.prepared == [2]


def test_the_average_stands_in_for_the_last_weights_for_a_while_or_for_good(make_loop):
    loop = make_loop(1)
    run(loop)
    last = loops.values(loop.model.trainable_variables)
    with loop.averaged():
        average = loops.values(loop.model.trainable_variables)
    assert not np.array_equal(average[0], last[0])
    for one, other in zip(loops.values(loop.model.trainable_variables), last, strict=True):
        np.testing.assert_array_equal(one, other)
    loop.finish()
    for one, other in zip(loops.values(loop.model.trainable_variables), average, strict=True):
        np.testing.assert_array_equal(one, other)


def test_arrays_of_another_network_are_refused(make_loop):
    loop = make_loop(1)
    network, rest = loop.state
    with pytest.raises(ValueError, match="the same network"):
        loop.state = network[:-1], rest
    with pytest.raises(ValueError, match="the same network"):
        loops.assign(loop.model.variables, [array[np.newaxis] for array in network])


@pytest.mark.parametrize(
    ("ahead", "end"),
    [(0.0, ", all in 3 min"), (1000.0, ", all in ~20 min"), (None, "")],
)
def test_the_bar_says_how_good_and_when_all_of_it_ends(ahead, end, make_loop, monkeypatch):
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(loops.time, "monotonic", lambda: float(next(clock)))
    loop = make_loop(1)
    note = loops._Note(loop, lambda: ahead)
    assert note.begin_epoch() == 100
    assert note.text() == "top-1 0.0%", "no epoch is over: nothing is known"
    loop.step = 4
    assert note.begin_epoch() == 200
    # 200 s for 4 of 12 steps, of which 400 s were to come 200 s ago.
    monkeypatch.setattr(loops.time, "monotonic", lambda: 400.0)
    assert note.text() == f"top-1 0.0%{end}"


def test_short_ends_are_in_seconds(make_loop, monkeypatch):
    loop = make_loop(1)
    monkeypatch.setattr(loops.time, "monotonic", lambda: 50.0)
    note = loops._Note(loop, lambda: 0.0)
    loop.step = 4
    monkeypatch.setattr(loops.time, "monotonic", lambda: 60.0)
    note.begin_epoch()
    assert note.text() == "top-1 0.0%, all in 20 s"
