import numpy as np
import pytest

from edgeproof.convert import trials
from edgeproof.convert.recipes import FLOAT32, INT8, NO_STEPS, Choice
from edgeproof.convert.reference import Reference
from edgeproof.convert.trials import Flips, HeldOut, verdict
from edgeproof.runtime import DataError
from edgeproof.runtime.interpreter import Runner


@pytest.fixture(scope="module")
def held_out(tiny_pictures, tiny_flatbuffer):
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    return HeldOut(tiny_pictures, Runner(tiny_flatbuffer).probabilities(pixels))


def test_a_file_with_the_references_answers_is_accepted(held_out, tiny_flatbuffer):
    found = trials.attempt(Choice(FLOAT32), tiny_flatbuffer, held_out, max_drop=0.0)
    assert (found.accepted, found.drop_points, found.same_answers, found.images) == (True, 0, 1, 40)
    assert found.top1 == found.reference_top1 == pytest.approx(0.9)
    assert found.size_bytes == len(tiny_flatbuffer)


def test_a_file_that_mixes_up_two_classes_is_refused(held_out, make_flatbuffer):
    weights = np.array([[-1, 2, -1], [2, -1, -1], [-1, -1, 2], [0, 0, 0]], np.float32) / 32
    found = trials.attempt(
        Choice(INT8, NO_STEPS), make_flatbuffer(quantised=True, weights=weights), held_out, max_drop=5.0
    )
    assert not found.accepted
    assert found.same_answers == 0.5
    assert found.drop_points > 30
    assert found.drop_interval_points[0] < found.drop_points < found.drop_interval_points[1]
    assert (found.name, found.repairs) == ("int8", ())


def test_a_clearly_bad_file_is_judged_on_fewer_pictures(held_out, make_flatbuffer, monkeypatch):
    monkeypatch.setattr(trials, "STAGES", (20, 30, 40))
    weights = np.zeros((4, 3), np.float32)
    found = trials.attempt(Choice(INT8), make_flatbuffer(quantised=True, weights=weights), held_out, max_drop=5.0)
    assert (found.images, found.accepted) == (20, False)


def test_outputs_are_those_of_one_interpreter_in_order(held_out, tiny_flatbuffer):
    np.testing.assert_array_equal(trials.outputs(tiny_flatbuffer, held_out.pictures), held_out.outputs)


def test_more_pictures_than_a_part_stay_in_order(held_out, tiny_flatbuffer):
    many = held_out.pictures.take(np.arange(400) % 40)
    np.testing.assert_allclose(trials.outputs(tiny_flatbuffer, many), np.tile(held_out.outputs, (10, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("lost", "gained", "changed", "images", "last", "expected"),
    [
        (0, 0, 0, 1000, False, True),
        (0, 0, 0, 44, True, True),
        (64, 17, 135, 1000, False, False),  # plain int8 of the stock-recipe model
        (15, 12, 30, 1000, False, None),
        (37, 36, 97, 3000, False, None),  # the same, repaired: a standard error of 0.28 points
        (74, 72, 194, 6000, True, True),
        (90, 60, 194, 6000, True, False),  # a drop of 0.5 points by itself
        (200, 200, 600, 6000, True, False),  # no drop, but one answer in ten is another
        (200, 200, 450, 6000, False, None),
        (5, 3, 9, 937, True, False),
        (3, 3, 9, 937, True, True),
    ],
)
def test_a_drop_is_judged_by_its_size_its_error_and_the_answers_that_changed(
    lost, gained, changed, images, last, expected
):
    assert verdict(Flips(lost, gained, changed, images), max_drop=0.5, last=last) is expected


def test_no_held_out_picture_calibrates_or_tests(mean_colour, tiny_pictures):
    reference = Reference("mean_colour", mean_colour(), tiny_pictures.labels, {})
    known = set(tiny_pictures.hashes[::4])
    found = trials.hold_out(reference, tiny_pictures, without=known, seed=0)
    assert len(found.pictures) == 30
    assert not known & set(found.pictures.hashes)
    np.testing.assert_array_equal(found.outputs, reference.outputs(found.pictures))


def test_held_out_pictures_are_balanced_and_no_more_than_asked_for(mean_colour, tiny_pictures):
    reference = Reference("mean_colour", mean_colour(), tiny_pictures.labels, {})
    found = trials.hold_out(reference, tiny_pictures, without=(), seed=0, images=20)
    assert len(found.pictures) == 20
    assert np.ptp(np.bincount(found.pictures.classes)) == 0


def test_too_few_pictures_are_refused(mean_colour, tiny_pictures):
    reference = Reference("mean_colour", mean_colour(), tiny_pictures.labels, {})
    with pytest.raises(DataError, match="19 training pictures are left to try files on; it takes 20"):
        trials.hold_out(reference, tiny_pictures, without=tiny_pictures.hashes[:21], seed=0)
