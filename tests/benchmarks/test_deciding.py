import math

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="needs the dev extra (hypothesis)")
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.benchmarks import deciding
from edgeproof.benchmarks.deciding import Estimate, ratio, share_change, student, verdict

numbers = st.floats(-5, 5, allow_nan=False)
estimates = st.tuples(numbers, numbers, numbers).map(sorted).map(lambda ends: Estimate(ends[1], ends[0], ends[2]))
limits = st.floats(0, 3)
OPPOSITE = {"regression": "improvement", "improvement": "regression"}
# A process on a core that it shares with a busy neighbour takes this much longer.
DISTURBED = 1.6


@given(estimates, limits)
def test_what_is_a_regression_one_way_is_an_improvement_the_other_way(estimate, limit):
    found = verdict(estimate, limit)
    assert verdict(estimate.mirrored(), limit) == OPPOSITE.get(found, found)


@given(estimates, limits, limits)
def test_a_wider_limit_never_makes_a_regression_and_never_takes_no_difference_away(estimate, one, other):
    narrow, wide = sorted((one, other))
    if verdict(estimate, wide) in OPPOSITE:
        assert verdict(estimate, narrow) == verdict(estimate, wide)
    if verdict(estimate, narrow) == "no difference":
        assert verdict(estimate, wide) == "no difference"


@given(estimates, limits, st.floats(0, 1))
def test_more_noise_only_ever_turns_a_verdict_into_not_being_able_to_tell(estimate, limit, noise):
    assert verdict(estimate.widened(noise), limit) in (verdict(estimate, limit), "cannot tell")


sides = st.lists(st.floats(0.2, 5), min_size=1, max_size=9)


@settings(max_examples=40, deadline=None)
@given(sides, sides)
def test_swapping_old_and_new_mirrors_the_estimate(old, new):
    there, back = ratio(old, new), ratio(new, old).mirrored()
    assert (there.value, there.low, there.high) == pytest.approx((back.value, back.low, back.high), abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.5, 2), min_size=6, max_size=9), st.floats(0.1, 10))
def test_the_unit_does_not_matter(old, factor):
    new = [1.1 * value for value in old]
    plain, scaled = ratio(old, new), ratio([factor * value for value in old], [factor * value for value in new])
    assert scaled.value == pytest.approx(plain.value, abs=1e-6)
    assert (scaled.low, scaled.high) == pytest.approx((plain.low, plain.high), abs=2e-3)


def blocks(seed, *, count=10, slower=0.0, noise=0.01, disturbed=0.0):
    draw = np.random.default_rng(seed)
    states = np.where(draw.random(count) < disturbed, DISTURBED, 1.0)
    return list((1 + slower) * states * np.exp(draw.normal(0, noise, count)))


def test_two_runs_of_the_same_thing_are_rarely_called_different():
    verdicts = [verdict(ratio(blocks(2 * n), blocks(2 * n + 1)), 0.0) for n in range(100)]
    assert sum(each != "cannot tell" for each in verdicts) <= 11  # 5 of 100 expected, 11 at 99 %


def test_a_slow_down_is_found_where_half_of_the_processes_were_disturbed():
    found = [ratio(blocks(n, disturbed=0.5), blocks(1000 + n, slower=0.1, disturbed=0.5)) for n in range(50)]
    assert sum(verdict(each, 0.0) == "regression" for each in found) >= 45
    assert sum(abs(each.value - math.log(1.1)) < 0.03 for each in found) >= 45


def test_disturbed_processes_alone_are_no_difference():
    found = [ratio(blocks(n, disturbed=0.3), blocks(1000 + n, disturbed=0.6)) for n in range(50)]
    assert sum(verdict(each, 0.0) != "cannot tell" for each in found) <= 7  # 2.5 expected, 7 at 99.5 %


def test_a_model_of_a_third_of_the_time_is_no_matter_of_doubt():
    assert verdict(ratio(blocks(1), blocks(2, slower=-0.66)), math.log(1.05)) == "improvement"


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says():
    found = [ratio(blocks(n, count=8, slower=0.05), blocks(500 + n, count=8)) for n in range(100)]
    assert sum(each.low <= -math.log(1.05) <= each.high for each in found) >= 88


def test_one_process_tells_nothing_and_few_get_students_interval():
    assert ratio([1.0], [1.2, 1.3]).low == -math.inf
    few = ratio([1.0, 1.1], [2.0, 2.2])
    spread = math.log(1.1) / math.sqrt(2)
    assert few.value == pytest.approx(math.log(2))
    assert few.high - few.value == pytest.approx(4.3027 * spread, rel=1e-4)


def test_equal_figures_have_a_narrow_interval_about_nothing():
    same = ratio([60.0] * 8, [60.0] * 8)
    assert same.value == 0
    assert same.high - same.low < 0.002


def test_runs_of_unequal_length_can_be_compared():
    assert verdict(ratio(blocks(1, count=7), blocks(2, count=12, slower=0.1)), 0.0) == "regression"


def test_a_share_has_agresti_and_caffos_interval():
    change = share_change((90, 100), (80, 100))
    p, q = 91 / 102, 81 / 102
    half = 1.959964 * math.sqrt(p * (1 - p) / 102 + q * (1 - q) / 102)
    assert change.value == pytest.approx(-10)
    assert (change.low, change.high) == pytest.approx((100 * (q - p - half), 100 * (q - p + half)))


def test_the_same_pictures_make_the_interval_of_a_share_narrower():
    unpaired, paired = share_change((7639, 10000), (7623, 10000)), share_change((7639, 10000), (7623, 10000), 292)
    assert unpaired.low < paired.low < paired.value < paired.high < unpaired.high
    # Bonett and Price's interval with all 292 different answers as flips: 1.96 * sqrt(294) / 100.02 on each side.
    assert paired.high - paired.low == pytest.approx(0.672, abs=0.01)


@pytest.mark.parametrize(("freedom", "exact"), [(1, 12.7062), (4, 2.7764), (5, 2.5706), (6, 2.4469), (14, 2.1448)])
def test_students_t_is_that_of_the_tables(freedom, exact):
    assert student(freedom) == pytest.approx(exact, abs=3e-3)


def test_impossible_estimates_and_limits_are_refused():
    with pytest.raises(ValueError, match="low <= value <= high"):
        Estimate(2.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="limit of at least 0"):
        verdict(Estimate(0, 0, 0), -1.0)


def test_drawn_splits_stay_the_same_when_the_sides_change_places():
    splits = deciding._splits(8, 8)
    dealt = splits.reshape(len(splits), 16, 16).any(axis=2)
    swapped = {tuple(row) for row in ~np.roll(dealt, 8, axis=1)}
    assert {tuple(row) for row in dealt} == swapped
