import os

import pytest

from edgeproof.benchmarks.affinity import bind, cores_for

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not bind processes")


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5, 7})


def test_the_last_usable_cores_are_taken(four_cores):
    assert cores_for(1) == (7,)
    assert cores_for(3) == (2, 5, 7)


def test_more_threads_than_cores_are_not_bound(four_cores):
    assert cores_for(5) == ()


def test_a_system_that_forbids_it_binds_nothing(monkeypatch):
    def refuse(process, cores):
        raise OSError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert bind((0,)) == ()


def test_no_cores_bind_nothing(monkeypatch):
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: pytest.fail("bound"))
    assert bind(()) == ()
