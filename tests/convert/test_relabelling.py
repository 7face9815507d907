import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the train extra (scipy)")

from edgeproof.convert import relabelling

LABELS = tuple(f"c{i:02}" for i in range(100))


def noisy(truth, right, seed):
    """Outputs of 100 classes that answer `truth` in so many cases, else anything."""
    draw = np.random.default_rng(seed)
    answers = np.where(draw.random(len(truth)) < right, truth, draw.integers(0, 100, len(truth)))
    return np.eye(100, dtype=np.float32)[answers]


@pytest.fixture(scope="module")
def reference():
    return noisy(np.arange(10_000) % 100, 0.8, 1)


def test_one_swapped_pair_of_a_hundred_is_found_and_named_also_beside_other_changes(reference):
    target = np.where(np.random.default_rng(2).random((10_000, 1)) < 0.85, reference, noisy(np.arange(10_000), 0, 3))
    order = np.arange(100)
    order[[7, 50]] = [50, 7]
    found = relabelling.found(target[:, order], reference, LABELS)
    assert sorted(found.moved) == [("c07", "c50"), ("c50", "c07")]
    assert found.sentence == "its labels 'c50' and 'c07' are swapped"
    np.testing.assert_array_equal(found.order, order)


def test_labels_in_their_places_are_not_moved_however_noisy_the_answers(reference):
    for right in (1.0, 0.5, 0.05, 0.0):
        assert relabelling.found(noisy(reference.argmax(axis=1), right, 4), reference, LABELS) is None


def test_a_file_that_answers_one_class_only_has_no_swapped_labels(reference):
    target = np.zeros_like(reference)
    target[:, 3] = 1
    assert relabelling.found(target, reference, LABELS) is None


def test_labels_turned_by_one_as_by_a_background_class_are_all_named(reference):
    found = relabelling.found(np.roll(reference, 1, axis=1), reference, LABELS)
    assert len(found.moved) == 100
    assert "100 of its labels stand in a wrong place: what it calls 'c01' is 'c00'" in found.sentence
    assert found.sentence.endswith("and 97 more")
    np.testing.assert_array_equal(np.roll(reference, 1, axis=1)[:, found.order], reference)


def test_two_pictures_are_no_proof():
    reference = np.eye(4, dtype=np.float32)[[0, 1, 2, 3]]
    assert relabelling.found(reference[:, [1, 0, 2, 3]], reference, LABELS[:4]) is None
