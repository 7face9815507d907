import signal
import sys

import pytest

from edgeproof.benchmarks import child
from edgeproof.runtime import ModelError


def asked(code: str, **options):
    """Ask a process that stands where a worker stands."""
    return child.ask((sys.executable, "-c", code), {"a": 1}, list[int], about="x.tflite", **options)


def test_an_answer_is_decoded():
    assert asked("import json, sys; print([json.load(sys.stdin)['a'], 2])") == [1, 2]


def test_a_process_killed_by_a_signal_is_told_in_one_line():
    with pytest.raises(ModelError, match=r"x.tflite: .* killed by SIGKILL; is there too little memory\?") as told:
        asked(f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})")
    assert "\n" not in str(told.value)


def test_a_process_that_says_why_it_ended_is_quoted():
    with pytest.raises(ModelError, match="the graph is damaged"):
        asked("import sys; sys.exit('chatter\\nthe graph is damaged')")


def test_a_silent_end_is_told_with_its_status():
    with pytest.raises(ModelError, match="ended with status 3"):
        asked("raise SystemExit(3)")


def test_an_answer_of_another_kind_is_a_model_error():
    with pytest.raises(ModelError, match="answered no block"):
        asked("print('hello')")


def test_a_process_that_hangs_is_stopped():
    with pytest.raises(ModelError, match=r"no block was done within 0\.3 s"):
        asked("import time; time.sleep(60)", limit_s=0.3)


def test_a_process_that_cannot_be_started_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="no process could be started"):
        child.ask((str(tmp_path / "nothing"),), {}, int, about="x")
