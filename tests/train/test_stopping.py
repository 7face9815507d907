import os
import signal
import threading

import pytest

from edgeproof.runtime.errors import Stopped
from edgeproof.train import stopping


@pytest.fixture(autouse=True)
def handlers():
    """The handlers before a test are those after it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_heeded_when_it_is_asked_for(number):
    with stopping.heeded() as stop:
        stop.check("before")
        send(number)
    with pytest.raises(Stopped, match="stopped at step 3; all of it is saved, and the same command goes on") as found:
        stop.check("at step 3")
    assert found.value.status == 128 + number


def test_a_second_sigint_does_not_wait():
    with stopping.heeded() as stop:
        send(signal.SIGINT)
        assert stop.requested == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_a_second_sigterm_waits_and_the_first_signal_counts():
    with stopping.heeded() as stop:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
    assert stop.requested == signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_nothing_is_under_way_a_signal_stops_at_once(number):
    with stopping.at_once("while reading"), pytest.raises(Stopped, match="while reading") as found:
        send(number)
    assert found.value.status == 128 + number


def test_a_step_inside_is_still_ended_first():
    with stopping.at_once("at once"):
        with stopping.heeded() as stop:
            send(signal.SIGTERM)
        with pytest.raises(Stopped, match="after epoch 2"):
            stop.check("after epoch 2")


def test_in_another_thread_signals_keep_their_meaning():
    found = []

    def run():
        with stopping.heeded() as stop, stopping.at_once("no"):
            found.append((stop.requested, signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [(0, before)]


def test_being_stopped_is_no_error_that_is_caught_by_the_way():
    assert not issubclass(Stopped, Exception)
