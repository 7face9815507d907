import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the train extra (scipy)")
from scipy.stats import binomtest

from edgeproof.convert import classwise

LABELS = ("a", "b", "c")


def outputs(answers):
    return np.eye(3, dtype=np.float32)[np.asarray(answers)]


def test_a_class_that_fell_is_named_and_the_others_are_not():
    truth = np.repeat(np.arange(3), 40)
    target = truth.copy()
    target[:12] = 1  # twelve of class a are lost
    target[40] = 2  # one of class b
    found = classwise.drops(outputs(target), outputs(truth), truth, LABELS)
    a, b, c = found
    assert (a.label, a.images, a.reference_correct, a.correct, a.lost, a.gained) == ("a", 40, 40, 28, 12, 0)
    assert (a.drop_points, a.p_value) == (pytest.approx(30), pytest.approx(binomtest(12, 12).pvalue))
    assert a.adjusted_p_value == pytest.approx(3 * a.p_value)
    assert [each.fell for each in found] == [True, False, False]
    assert (b.lost, b.adjusted_p_value, c.p_value) == (1, 1.0, 1.0)


def test_a_class_that_rose_did_not_fall():
    truth = np.repeat(np.arange(3), 40)
    reference = truth.copy()
    reference[:12] = 1
    found = classwise.drops(outputs(truth), outputs(reference), truth, LABELS)
    assert found[0].adjusted_p_value < 0.05
    assert not found[0].fell


def test_by_chance_alone_a_class_is_named_in_at_most_one_of_twenty_trials():
    draw = np.random.default_rng(0)
    truth, named = np.repeat(np.arange(20), 50), 0
    for _ in range(200):
        reference, target = (np.where(draw.random(1000) < 0.8, truth, 0) for _ in range(2))
        labels = tuple(map(str, range(20)))
        eye = np.eye(20, dtype=np.float32)
        named += any(each.fell for each in classwise.drops(eye[target], eye[reference], truth, labels))
    assert named / 200 <= 0.05


def test_the_pair_that_got_worse_comes_first_with_its_test():
    truth = np.repeat(np.arange(3), 40)
    reference, target = truth.copy(), truth.copy()
    reference[:3] = 1
    target[2:14] = 1  # one kept, two left, eleven came
    target[40] = 2
    found = classwise.shifts(outputs(target), outputs(reference), truth, LABELS)
    first = found[0]
    assert (first.true, first.answered, first.before, first.after, first.came, first.left) == ("a", "b", 3, 12, 11, 2)
    assert first.p_value == pytest.approx(binomtest(2, 13).pvalue)
    assert first.adjusted_p_value == pytest.approx(6 * first.p_value)
    assert [(each.true, each.answered, each.grew) for each in found[1:]] == [("b", "c", False)]


def test_a_pair_that_got_better_is_not_listed():
    truth = np.repeat(np.arange(3), 40)
    reference = truth.copy()
    reference[:12] = 1
    assert classwise.shifts(outputs(truth), outputs(reference), truth, LABELS) == ()


def test_a_class_that_only_the_reference_answers_has_collapsed():
    assert classwise.collapsed(outputs([0, 0, 1, 0]), outputs([0, 1, 1, 0]), LABELS) == ()
    assert classwise.collapsed(outputs([0, 0, 0, 0]), outputs([0, 1, 1, 2]), LABELS) == ("b", "c")
