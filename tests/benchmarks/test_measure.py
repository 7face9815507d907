import sys
from contextlib import contextmanager

import msgspec
import pytest

from edgeproof.benchmarks.kept import Kept
from edgeproof.benchmarks.measure import abba, measure, run_block
from edgeproof.runtime import ModelError, progress


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


def test_a_worker_that_dies_is_told_with_its_job(job):
    with pytest.raises(ModelError, match=r"1 thread\(s\): the measuring process ended with status 3"):
        run_block(job, command=(sys.executable, "-c", "raise SystemExit(3)"))


def test_a_run_that_was_cut_short_is_resumed_where_it_stopped(job, make_block, tmp_path):
    jobs = [msgspec.structs.replace(job, threads=threads) for threads in (1, 2)]
    made = []

    def dying(asked):
        if len(made) == 3:
            raise ModelError("killed")
        made.append(asked.threads)
        return make_block(float(len(made)))

    with pytest.raises(ModelError, match="killed"):
        measure(jobs, rounds=2, run=dying, kept=Kept(tmp_path / "kept", "plan"))
    asked_again = []

    def going_on(asked):
        asked_again.append(asked.threads)
        return make_block(9.0)

    measured = measure(jobs, rounds=2, run=going_on, kept=Kept(tmp_path / "kept", "plan"))
    assert made + asked_again == [1, 2, 2, 1]
    assert measured[0].blocks == (make_block(1.0), make_block(9.0))
    assert measured[1].blocks == (make_block(2.0), make_block(3.0))


def test_the_bar_advances_by_the_seconds_that_a_block_is_expected_to_take(job, make_block, monkeypatch):
    totals, steps = [], []

    @contextmanager
    def bar(description, total, *, note):
        totals.append(total)
        yield lambda step: steps.append((step, note()))

    monkeypatch.setattr(progress, "bar", bar)
    slow = msgspec.structs.replace(job, paced_ms=100.0)
    measure([job, slow], rounds=2, run=lambda asked: make_block(1.0))
    assert sum(step for step, _ in steps) == totals[0]
    assert [step for step, _ in steps] == [steps[0][0], steps[1][0], steps[1][0], steps[0][0]]
    assert steps[1][0] - steps[0][0] == 20  # 20 calls, 100 ms apart, in tenths of a second
    assert steps[-1][1].endswith("block 4 of 4")


def test_blocks_that_are_there_already_do_not_count_for_the_bar(job, make_block, monkeypatch, tmp_path):
    totals, steps = [], []

    @contextmanager
    def bar(description, total, *, note):
        totals.append(total)
        yield lambda step: steps.append((step, note()))

    kept = Kept(tmp_path / "kept", "plan")
    kept.add(0, make_block(1.0))
    monkeypatch.setattr(progress, "bar", bar)
    measure([job], rounds=2, run=lambda asked: make_block(2.0), kept=Kept(tmp_path / "kept", "plan"))
    assert steps == [(totals[0], "block 2 of 2")]
