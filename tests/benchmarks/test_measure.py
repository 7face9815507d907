import signal
import sys

import msgspec
import pytest

from edgeproof.benchmarks.measure import abba, measure, run_block
from edgeproof.runtime import ModelError


def dying(code: str) -> tuple[str, ...]:
    """A process that stands where the worker stands."""
    return (sys.executable, "-c", code)


def test_the_order_is_abba():
    assert abba(2, 4) == (0, 1, 1, 0, 0, 1, 1, 0)
    assert abba(3, 2) == (0, 1, 2, 2, 1, 0)


def test_an_odd_number_of_rounds_is_refused():
    with pytest.raises(ValueError, match="even number of rounds, got 3"):
        abba(2, 3)


def test_jobs_are_run_in_abba_order_and_blocks_come_back_to_their_jobs(job, make_block):
    jobs = [msgspec.structs.replace(job, threads=threads) for threads in (1, 2)]
    run = []

    def fake(asked):
        run.append(asked.threads)
        return make_block(float(len(run)))

    measured = measure(jobs, rounds=2, run=fake)
    assert run == [1, 2, 2, 1]
    assert [m.threads for m in measured] == [1, 2]
    assert measured[0].blocks == (make_block(1.0), make_block(4.0))
    assert measured[1].blocks == (make_block(2.0), make_block(3.0))


def test_a_real_block_is_measured_in_another_process(job):
    assert len(run_block(job).samples_ns) == 20


def test_a_worker_killed_by_a_signal_is_told_in_one_line(job):
    code = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    with pytest.raises(ModelError, match=r"1 thread\(s\): .* killed by SIGKILL; is there too little memory\?") as told:
        run_block(job, command=dying(code))
    assert "\n" not in str(told.value)


def test_a_worker_that_says_why_it_ended_is_quoted(job):
    with pytest.raises(ModelError, match="the graph is damaged"):
        run_block(job, command=dying("import sys; sys.exit('chatter\\nthe graph is damaged')"))


def test_a_silent_end_is_told_with_its_status(job):
    with pytest.raises(ModelError, match="ended with status 3"):
        run_block(job, command=dying("raise SystemExit(3)"))


def test_an_answer_that_is_no_block_is_a_model_error(job):
    with pytest.raises(ModelError, match="answered no block"):
        run_block(job, command=dying("print('hello')"))


def test_a_worker_that_hangs_is_stopped(job):
    with pytest.raises(ModelError, match=r"no block was done within 0\.3 s"):
        run_block(job, command=dying("import time; time.sleep(60)"), limit_s=0.3)


def test_a_worker_that_cannot_be_started_is_a_model_error(job, tmp_path):
    with pytest.raises(ModelError, match="no process could be started"):
        run_block(job, command=(str(tmp_path / "nothing"),))
