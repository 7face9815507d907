import numpy as np
import pytest

from edgeproof.train import batches
from edgeproof.train.batches import Batches, augmented, in_order, one_hot


@pytest.fixture
def numbered(tiny_pictures):
    """The tiny pictures with their own number in the first channel of every pixel."""
    stored = tiny_pictures.stored.copy()
    stored[..., 0] = np.arange(len(stored))[:, np.newaxis, np.newaxis]
    changed = tiny_pictures.take(range(len(stored)))
    changed.stored[:] = stored
    return changed


def test_a_step_is_a_function_of_the_seed_and_its_number(tiny_pictures):
    def plan(seed):
        return Batches(tiny_pictures, 16, seed, flip=True, shift=2)

    for step in (0, 2, 7):
        for one, other in zip(plan(1).batch(step), plan(1).batch(step), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(plan(1).batch(0)[0], plan(2).batch(0)[0])


def test_every_picture_is_seen_once_an_epoch_and_in_another_order_the_next(numbered):
    plan = Batches(numbered, 16, seed=0)
    assert plan.steps_per_epoch == 3
    epochs = []
    for epoch in range(2):
        parts = [plan.batch(3 * epoch + step)[0] for step in range(3)]
        assert [len(part) for part in parts] == [16, 16, 8]
        epochs.append(np.concatenate(parts)[:, 0, 0, 0].tolist())
        assert sorted(epochs[-1]) == list(range(40))
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])


def test_labels_stay_with_their_pictures(numbered):
    pixels, labels = Batches(numbered, 16, seed=0, flip=True, shift=1).batch(0)
    np.testing.assert_array_equal(labels.argmax(axis=1), numbered.classes[pixels[:, 0, 0, 0]])
    np.testing.assert_array_equal(labels.sum(axis=1), 1)


def test_without_augmentation_training_sees_the_bytes_that_the_runtime_sees(tiny_pictures):
    plan = Batches(tiny_pictures, 40, seed=3)
    pixels, _ = plan.batch(0)
    order = np.random.default_rng((3, 0)).permutation(40)
    for found, place in zip(pixels, order, strict=True):
        np.testing.assert_array_equal(found, tiny_pictures.preprocessing.pixels(tiny_pictures.stored[place]))


def test_the_pipeline_gives_the_steps_in_order_as_floats_of_0_to_255(tiny_pictures):
    plan = Batches(tiny_pictures, 16, seed=1, flip=True, shift=1)
    found = list(plan.dataset(2, 5))
    assert len(found) == 3
    for step, (pixels, labels) in zip(range(2, 5), found, strict=True):
        expected, one_hots = plan.batch(step)
        assert pixels.dtype == labels.dtype == "float32"
        np.testing.assert_array_equal(pixels.numpy(), expected)
        np.testing.assert_array_equal(labels.numpy(), one_hots)


def test_the_pipelines_shapes_are_known_before_it_runs(tiny_pictures):
    pixels, labels = Batches(tiny_pictures, 16, seed=1).dataset(0, 1).element_spec
    assert pixels.shape.as_list() == [None, 8, 8, 3]
    assert labels.shape.as_list() == [None, 4]


def test_in_order_gives_every_picture_once_and_the_runtimes_bytes(tiny_pictures):
    found = list(in_order(tiny_pictures, 16))
    assert [len(pixels) for pixels, _ in found] == [16, 16, 8]
    pixels = np.concatenate([pixels for pixels, _ in found])
    expected = [tiny_pictures.preprocessing.pixels(stored) for stored in tiny_pictures.stored]
    np.testing.assert_array_equal(pixels, np.stack(expected))
    classes = np.concatenate([labels for _, labels in found]).argmax(axis=1)
    np.testing.assert_array_equal(classes, tiny_pictures.classes)


# --- augmentation -------------------------------------------------------------------------------------------

PICTURES = np.random.default_rng(5).integers(0, 256, (200, 6, 5, 3), np.uint8)


def test_nothing_is_changed_unless_asked_for():
    np.testing.assert_array_equal(augmented(PICTURES, np.random.default_rng(0), flip=False, shift=0), PICTURES)


def test_a_flip_mirrors_about_half_of_the_pictures_and_leaves_the_others():
    found = augmented(PICTURES, np.random.default_rng(0), flip=True, shift=0)
    mirrored = [np.array_equal(one, other[:, ::-1]) for one, other in zip(found, PICTURES, strict=True)]
    same = [np.array_equal(one, other) for one, other in zip(found, PICTURES, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


def test_a_shift_moves_each_picture_by_at_most_so_many_pixels_and_repeats_the_border():
    found = augmented(PICTURES, np.random.default_rng(0), flip=False, shift=2)
    moves = set()
    for one, original in zip(found, PICTURES, strict=True):
        rows, columns = np.arange(6), np.arange(5)
        fits = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if np.array_equal(one, original[np.clip(rows + down, 0, 5)][:, np.clip(columns + right, 0, 4)])
        ]
        assert len(fits) == 1
        moves.add(fits[0])
    assert len(moves) == 25


def test_the_pictures_themselves_are_never_changed():
    before = PICTURES.copy()
    augmented(PICTURES, np.random.default_rng(0), flip=True, shift=2)
    np.testing.assert_array_equal(PICTURES, before)


def test_one_hot_rows_hold_a_single_one():
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    assert batches.one_hot(np.array([1]), 2).dtype == np.float32
