import pytest

from edgeproof.benchmarks.early_stopping import estimate_ns


@pytest.mark.parametrize("calls", [0, 20, 63])
def test_fewer_than_64_calls_give_no_estimate_of_p90(calls):
    assert estimate_ns(range(calls)) is None


# By scipy.stats.binom.cdf(slow, calls, 0.1) <= 0.01.
@pytest.mark.parametrize(("calls", "slow"), [(64, 1), (100, 3), (1000, 78), (10_000, 930)])
def test_the_estimate_is_the_slowest_call_that_chance_allows(calls, slow):
    assert estimate_ns(list(reversed(range(calls)))) == calls - slow


def test_the_estimate_comes_down_to_the_percentile_with_many_calls():
    found = [estimate_ns(range(calls)) / calls for calls in (100, 1000, 100_000)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.9, abs=0.003)


def test_the_99th_percentile_needs_more():
    assert estimate_ns(range(661), percentile=0.99) is None
    assert estimate_ns(range(662), percentile=0.99) == 661
