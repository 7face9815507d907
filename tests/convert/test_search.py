import itertools

import pytest

from edgeproof.convert import recipes
from edgeproof.convert.recipes import INT8, Choice, Goal
from edgeproof.convert.search import Candidate, candidates, search
from edgeproof.convert.trials import Trial


def trial(choice, *, accepted=False, same=0.9):
    return Trial(
        name=choice.name,
        recipe=choice.recipe.name,
        repairs=choice.steps.names,
        estimator=choice.estimator,
        left_in_float=(),
        size_bytes=1000,
        images=100,
        reference_top1=0.8,
        top1=0.7,
        drop_points=10.0,
        drop_interval_points=(5.0, 15.0),
        same_answers=same,
        accepted=accepted,
        seconds=1.0,
    )


def run(*good, objective="latency", sensitivity=lambda: range(20), clock=lambda: 0.0, more=(), **budget):
    """Search with trials that are good enough for the choices named; the names tried, and what was found."""
    found = search(
        candidates(objective, sensitivity, more),
        lambda choice: trial(choice, accepted=choice.name in good),
        Goal(0.5, objective, **budget),
        clock=clock,
    )
    return [each.name for each in found.trials], found


def test_plain_int8_is_tried_first_and_alone_where_it_is_good_enough():
    names, found = run("int8")
    assert names == ["int8"]
    assert found.choices == (Choice(INT8, recipes.NO_STEPS),)
    assert (found.best, found.ended) == (0, "no other candidate can be better by latency")


def test_repaired_files_come_before_other_estimators_and_these_before_operators_in_float():
    names, found = run("int8 repaired, 2 in float")
    assert names == [
        "int8",
        "int8 repaired",
        "int8 repaired, mse",
        "int8 repaired, percentile",
        "int8 repaired, 1 in float",
        "int8 repaired, 2 in float",
    ]
    assert found.best == 5


def test_the_worst_operators_stay_in_float():
    _, found = run("int8 repaired, 2 in float", sensitivity=lambda: (7, 3, 5))
    assert found.choices[found.best].in_float == (7, 3)


def test_sensitivity_is_not_asked_for_where_no_operator_is_left_in_float():
    def forbidden():
        raise AssertionError

    assert run("int8 repaired", sensitivity=forbidden)[1].best == 1


def test_a_float32_file_is_not_tried_beside_an_accepted_one_that_is_as_fast_and_smaller():
    names, found = run("float16", "float32", max_trials=50)
    assert names[-1] == "float16"
    assert "float32" not in names
    assert found.best == len(names) - 1


def test_for_size_a_smaller_file_is_still_tried_after_a_larger_one_was_good_enough():
    names, found = run("int8 repaired, 4 in float", "int16x8 repaired", objective="size", max_trials=50)
    assert names.index("dynamic repaired") < names.index("int8 repaired, 1 in float")
    assert "int8 repaired, 8 in float" not in names
    assert names[-1] == found.trials[found.best].name == "int16x8 repaired"


def test_other_candidates_are_tried_behind_the_repaired_ones():
    trained = Candidate("int8-qat", 0, lambda: Choice(recipes.INT8_QAT, recipes.NO_STEPS))
    names, _ = run("int8-qat", more=[trained], max_trials=50)
    assert names[4] == "int8-qat"
    assert len(names) == 5


def test_no_more_trials_are_made_than_the_budget_allows_and_what_is_left_is_said():
    names, found = run(max_trials=3)
    assert len(names) == 3
    assert found.best is None
    assert found.ended == "--max-trials 3 are done: 10 candidates were left"


def test_a_trial_that_would_end_past_the_limit_is_not_begun():
    # The clock is read on the first line, twice a trial, and at the end: each trial takes 100 s.
    ticks = itertools.count()
    seconds = iter(lambda: 100.0 * (next(ticks) // 2), None)
    names, found = run(clock=lambda: next(seconds), max_minutes=5)
    assert 1 <= len(names) <= 3
    assert found.ended.startswith("--max-minutes 5 are not enough for one more trial: ")


def test_one_trial_is_made_whatever_the_budget():
    assert run(max_minutes=0, clock=itertools.count().__next__)[0] == ["int8"]


def test_all_candidates_are_tried_where_the_budget_allows_and_nothing_is_good_enough():
    names, found = run(max_trials=50)
    assert len(names) == len(set(names)) == 13
    assert (found.best, found.ended) == (None, "every candidate was tried")


def test_the_nearest_trial_has_the_most_answers_in_common():
    shares = iter((0.7, 0.9, 0.8))
    found = search(
        candidates("latency", lambda: (1,)), lambda choice: trial(choice, same=next(shares)), Goal(0.5, max_trials=3)
    )
    assert found.nearest == 1


@pytest.mark.parametrize("objective", ["latency", "size"])
def test_no_two_candidates_are_the_same_choice(objective):
    choices = [each.choice() for each in candidates(objective, lambda: range(20))]
    assert len(set(choices)) == len(choices)
