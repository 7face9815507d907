import pytest

from edgeproof.benchmarks.warming import is_warm


def test_calls_that_still_get_faster_are_not_warm():
    assert not is_warm([100, 90, 80, 70, 60, 50, 45, 40, 38, 36])


def test_calls_that_have_settled_are_warm_whatever_came_before():
    assert is_warm([900, 500, *[100, 102, 99, 101, 100] * 2])


def test_one_slow_call_does_not_hide_that_they_settled():
    assert is_warm([100, 100, 900, 100, 100, 100, 100, 100, 100, 100])


@pytest.mark.parametrize("calls", [0, 9])
def test_fewer_than_ten_calls_tell_nothing(calls):
    assert not is_warm([100] * calls)
