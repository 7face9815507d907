import math

import numpy as np
import pytest

from edgeproof.runtime.accuracy import (
    Accuracy,
    calibration_error,
    right,
    same_answers,
    ties,
    top1_with_ties,
    top_k,
)


def outputs(*rows):
    return np.array(rows, np.float32)


def classes(*indices):
    return np.array(indices, np.int64)


def brute_force(probabilities, wanted, k):
    """The same question asked with a sort: ranked by probability, then by class."""
    correct = 0
    for row, one in zip(probabilities, wanted, strict=True):
        ranked = sorted(range(len(row)), key=lambda index: (-row[index], index))
        correct += one in ranked[:k]
    return correct


@pytest.mark.parametrize("k", [1, 2, 5, 9, 10])
@pytest.mark.parametrize("steps", [3, 256, 10**6])
def test_top_k_agrees_with_a_sort_also_where_there_are_ties(k, steps):
    generator = np.random.default_rng(steps)
    probabilities = (generator.integers(0, steps, (300, 9)) / steps).astype(np.float32)
    wanted = generator.integers(0, 9, 300)
    assert top_k(probabilities, wanted, k) == Accuracy(brute_force(probabilities, wanted, k), 300)


def test_of_two_equal_probabilities_the_lower_class_wins():
    tied = outputs([0.4, 0.4, 0.2])
    assert top_k(tied, classes(0), 1).correct == 1
    assert top_k(tied, classes(1), 1).correct == 0
    assert top_k(tied, classes(1), 2).correct == 1


def test_top_one_is_argmax():
    probabilities = np.random.default_rng(1).random((200, 7)).astype(np.float32).round(1)
    wanted = np.random.default_rng(2).integers(0, 7, 200)
    assert top_k(probabilities, wanted, 1).correct == (probabilities.argmax(axis=1) == wanted).sum()


def test_a_model_that_answers_not_a_number_is_never_right():
    broken = np.full((4, 3), np.nan, np.float32)
    assert top_k(broken, classes(0, 1, 2, 0), 1) == Accuracy(0, 4)
    assert top_k(outputs([0.9, np.nan, 0.1]), classes(0), 3) == Accuracy(0, 1)
    assert same_answers(broken, broken) == Accuracy(0, 4)


def test_of_no_pictures_none_is_right():
    empty = np.empty((0, 3), np.float32)
    assert top_k(empty, classes(), 1) == Accuracy(0, 0)
    assert same_answers(empty, empty) == Accuracy(0, 0)
    assert ties(empty) == 0


def test_as_many_classes_as_pictures_are_expected():
    with pytest.raises(ValueError, match="Expected one class an image"):
        top_k(outputs([1, 0]), classes(0, 1), 1)


def test_same_answers_compares_the_first_places_only():
    a = outputs([0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7])
    b = outputs([0.9, 0.0, 0.1], [0.6, 0.2, 0.2], [0.3, 0.3, 0.4])
    assert same_answers(a, b) == Accuracy(2, 3)
    with pytest.raises(ValueError, match="Expected the same shape"):
        same_answers(a, b[:2])


def test_ties_counts_pictures_whose_first_place_is_shared():
    assert ties(outputs([0.5, 0.5, 0], [0.2, 0.2, 0.6], [0.3, 0.3, 0.3], [1, 0, 0])) == 2


def test_parts_add_up():
    assert Accuracy(3, 4) + Accuracy(1, 6) == Accuracy(4, 10)
    assert (Accuracy(3, 4) + Accuracy(1, 6)).share == 0.4


def test_no_answers_have_no_share_and_every_share_is_possible():
    assert math.isnan(Accuracy(0, 0).share)
    assert Accuracy(0, 0).interval() == (0.0, 1.0)


@pytest.mark.parametrize(("correct", "total"), [(5, 4), (-1, 4), (0, -1)])
def test_more_correct_than_asked_is_refused(correct, total):
    with pytest.raises(ValueError, match=f"Expected 0 <= correct <= total, got {correct} of {total}"):
        Accuracy(correct, total)


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [  # the last four are the examples of Newcombe (1998), to the four digits printed there
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(correct, total, low, high):
    assert Accuracy(correct, total).interval() == pytest.approx((low, high), abs=6e-5)


def test_the_interval_solves_the_equation_that_defines_it():
    z, found = 1.959964, Accuracy(37, 90)
    for bound in found.interval(z):
        assert abs(found.share - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / 90), rel=1e-9)


def test_the_interval_holds_the_share_and_shrinks_with_more_answers():
    low, high = Accuracy(30, 40).interval()
    assert low < 0.75 < high
    closer = Accuracy(300, 400).interval()
    assert low < closer[0] < closer[1] < high


def test_ties_are_counted_three_ways():
    tied = outputs([0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.2, 0.2, 0.6])
    assert top1_with_ties(tied, classes(1, 2, 2)) == pytest.approx((1 / 3, 0.5, 2 / 3))


def test_calibration_error_is_the_gap_between_confidence_and_truth():
    sure = outputs([0.9, 0.1, 0.0], [0.9, 0.1, 0.0])
    assert calibration_error(sure, classes(0, 1)) == pytest.approx(0.4)  # half right, but 90 % sure
    assert calibration_error(outputs([1, 0, 0], [0, 1, 0]), classes(0, 1)) == 0


def test_calibration_error_is_weighed_by_the_pictures_of_each_bin():
    mixed = outputs([0.9, 0.1, 0.0], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2])
    assert calibration_error(mixed, classes(0, 0, 1, 1)) == pytest.approx((0.1 + 3 * abs(1 / 3 - 0.5)) / 4, abs=1e-6)


def test_what_is_not_a_number_is_a_wrong_answer_without_confidence():
    broken = np.full((2, 3), np.nan, np.float32)
    assert top1_with_ties(broken, classes(0, 1)) == (0, 0, 0)
    assert calibration_error(broken, classes(0, 1)) == 0
    assert right(broken, classes(0, 1)).tolist() == [False, False]
