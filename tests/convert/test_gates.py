import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the train extra (scipy)")
from msgspec import structs

from edgeproof.convert import gates, paired, verification
from edgeproof.convert.gates import Gates


@pytest.fixture(scope="module")
def judged(tiny_pictures):
    """The breaches of gates where the file loses 3 and gains 1 of 40 pictures: 5 points [-5.8 to 15.4], 90 % same."""
    reference = np.eye(4, dtype=np.float32)[tiny_pictures.classes]
    reference[0] = np.eye(4)[1]
    target = np.eye(4, dtype=np.float32)[tiny_pictures.classes]
    target[[10, 20, 30]] = np.eye(4)[0]
    found = verification.compare(target, reference, tiny_pictures)
    pairs = paired.compare(target, reference, tiny_pictures.classes)
    assert (pairs.lost, pairs.gained, found.drop_points) == (3, 1, pytest.approx(5))

    def run(**given):
        return [each.gate for each in gates.breaches(Gates(**given), found, pairs)]

    return run


def test_without_a_significance_the_measured_drop_is_compared(judged):
    assert judged(max_drop=5.1) == []
    assert judged(max_drop=4.9) == ["max-drop"]


def test_with_a_significance_a_drop_that_may_lie_on_either_side_fails_unless_doubt_passes(judged):
    for limit in (4.9, 5.1):
        assert judged(max_drop=limit, significance=0.05) == ["significance"]
        assert judged(max_drop=limit, significance=0.05, doubt="pass") == []


def test_a_drop_shown_to_be_beyond_the_limit_fails_and_one_shown_to_be_within_passes_whatever_doubt_does(judged):
    for doubt in ("fail", "pass"):
        assert judged(max_drop=-10, significance=0.05, doubt=doubt) == ["significance"]
        assert judged(max_drop=20, significance=0.05, doubt=doubt) == []


def test_a_laxer_significance_makes_the_interval_narrower(judged):
    assert judged(max_drop=14, significance=0.05) == ["significance"]
    assert judged(max_drop=14, significance=0.2) == []


def test_too_few_same_answers_fail_also_where_the_drop_is_small(judged):
    assert judged(max_drop=5.1, min_agreement=0.91) == ["min-agreement"]
    assert judged(max_drop=5.1, min_agreement=0.9) == []
    assert judged(max_drop=0, min_agreement=0.91) == ["max-drop", "min-agreement"]


@pytest.mark.parametrize("wrong", [{"significance": 0.0}, {"significance": 1.0}, {"min_agreement": 90.0}])
def test_gates_out_of_range_are_a_callers_mistake(wrong):
    with pytest.raises(ValueError, match="Expected a"):
        Gates(max_drop=1, **wrong)


def test_a_breach_says_what_was_found_and_where_the_limit_is(tiny_pictures):
    reference = np.eye(4, dtype=np.float32)[tiny_pictures.classes]
    target = np.roll(reference, 1, axis=1)
    found = verification.compare(target, reference, tiny_pictures)
    pairs = paired.compare(target, reference, tiny_pictures.classes)
    first, second = gates.breaches(Gates(max_drop=2.5, min_agreement=0.5), found, pairs)
    assert first.sentence == "the drop of 100.00 is beyond 2.5 points"
    assert second.sentence == "0.00% same answers, less than 50.00%"
    shown = gates.breaches(structs.replace(Gates(max_drop=2.5), significance=0.05), found, pairs)[0].sentence
    assert "is shown to be beyond 2.5 points" in shown
