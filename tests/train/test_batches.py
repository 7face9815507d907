import numpy as np
import pytest

from edgeproof.train import batches
from edgeproof.train.batches import Batches, Mixing, PictureSource, in_order, one_hot
from edgeproof.train.config import Augmentation


def plan_of(pictures, size=16, seed=0, augmentation=None, **more):
    source = PictureSource(pictures, augmentation, seed)
    return Batches(source, pictures.classes, len(pictures.labels), size, seed, **more)


MOVED = Augmentation(flip=True, shift=2)


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
        return plan_of(tiny_pictures, seed=seed, augmentation=MOVED, mixing=Mixing(0.5, 0.5))

    for step in (0, 2, 7):
        for one, other in zip(plan(1).batch(step), plan(1).batch(step), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(plan(1).batch(0)[0], plan(2).batch(0)[0])


def test_every_picture_is_seen_once_an_epoch_and_in_another_order_the_next(numbered):
    plan = plan_of(numbered)
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
    pixels, labels, weights = plan_of(numbered, augmentation=MOVED).batch(0)
    np.testing.assert_array_equal(labels.argmax(axis=1), numbered.classes[pixels[:, 0, 0, 0]])
    np.testing.assert_array_equal(labels.sum(axis=1), 1)
    np.testing.assert_array_equal(weights, 1)


def test_without_augmentation_training_sees_the_bytes_that_the_runtime_sees(tiny_pictures):
    pixels, _, _ = plan_of(tiny_pictures, size=40, seed=3).batch(0)
    order = np.random.default_rng((3, 0)).permutation(40)
    for found, place in zip(pixels, order, strict=True):
        np.testing.assert_array_equal(found, tiny_pictures.preprocessing.pixels(tiny_pictures.stored[place]))


def test_views_come_again_after_so_many_epochs(tiny_pictures):
    numbers = np.arange(40)
    two, three = (PictureSource(tiny_pictures, MOVED, 0, views) for views in (2, 3))
    looks = [two.inputs(epoch, numbers) for epoch in range(3)]
    np.testing.assert_array_equal(looks[0], looks[2])
    assert not np.array_equal(looks[0], looks[1])
    assert not np.array_equal(three.inputs(0, numbers), three.inputs(2, numbers))


def test_the_pipeline_gives_the_steps_in_order_as_floats_of_0_to_255(tiny_pictures):
    plan = plan_of(tiny_pictures, seed=1, augmentation=MOVED)
    found = list(plan.dataset(2, 5))
    assert len(found) == 3
    for step, batch in zip(range(2, 5), found, strict=True):
        for given, expected in zip(batch, plan.batch(step), strict=True):
            assert given.dtype == "float32"
            np.testing.assert_array_equal(given.numpy(), expected)


def test_the_pipelines_shapes_are_known_before_it_runs(tiny_pictures):
    pixels, labels, weights = plan_of(tiny_pictures).dataset(0, 1).element_spec
    assert pixels.shape.as_list() == [None, 8, 8, 3]
    assert labels.shape.as_list() == [None, 4]
    assert weights.shape.as_list() == [None]


def test_in_order_gives_every_picture_once_and_the_runtimes_bytes(tiny_pictures):
    found = list(in_order(PictureSource(tiny_pictures, None, 0), tiny_pictures.classes, 4, 16))
    assert [len(pixels) for pixels, _ in found] == [16, 16, 8]
    pixels = np.concatenate([pixels for pixels, _ in found])
    expected = [tiny_pictures.preprocessing.pixels(stored) for stored in tiny_pictures.stored]
    np.testing.assert_array_equal(pixels, np.stack(expected))
    classes = np.concatenate([labels for _, labels in found]).argmax(axis=1)
    np.testing.assert_array_equal(classes, tiny_pictures.classes)


# --- classes of different size ------------------------------------------------------------------------------


def test_balanced_weights_make_every_class_count_the_same():
    classes = np.array([0] * 8 + [1] * 2 + [2] * 2)
    weights = batches.balanced(classes, 3)
    sums = [weights[classes][classes == each].sum() for each in range(3)]
    assert sums == pytest.approx([4, 4, 4])
    assert weights[classes].mean() == pytest.approx(1)


def test_a_pictures_weight_is_its_classes(tiny_pictures):
    weights = np.array([1, 2, 3, 4], np.float32)
    _, labels, found = plan_of(tiny_pictures, weights=weights).batch(1)
    np.testing.assert_array_equal(found, weights[labels.argmax(axis=1)])


# --- mixing -------------------------------------------------------------------------------------------------

INPUTS = np.arange(6, dtype=np.float32)[:, None, None, None] * np.ones((1, 8, 8, 2), np.float32)
LABELS = np.eye(6, dtype=np.float32)


@pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.0), (0.0, 1.0)])
def test_labels_are_mixed_as_the_inputs_are(mixup, cutmix):
    """Each input holds its own number, so its mean says what it is made of."""
    for seed in range(10):
        mixed, labels = Mixing(mixup, cutmix)(INPUTS, LABELS, np.random.default_rng(seed))
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), labels @ np.arange(6), atol=1e-4)
    assert (labels > 0).sum(axis=1).max() == 2


def test_mixup_blends_and_cutmix_pastes():
    blended, _ = Mixing(mixup=1.0)(INPUTS, LABELS, np.random.default_rng(1))
    pasted, _ = Mixing(cutmix=1.0)(INPUTS, LABELS, np.random.default_rng(1))
    assert all(len(np.unique(picture)) == 1 for picture in blended)
    assert set(np.unique(pasted)) <= set(range(6))
    assert max(len(np.unique(picture)) for picture in pasted) == 2


def test_only_the_asked_share_of_the_steps_is_mixed():
    mixed = [Mixing(0.2, 0.1)(INPUTS, LABELS, np.random.default_rng(seed))[0] is not INPUTS for seed in range(1000)]
    assert 0.25 < np.mean(mixed) < 0.35
    assert Mixing()(INPUTS, LABELS, np.random.default_rng(0))[0] is INPUTS


def test_mixing_keeps_half_precision():
    half = INPUTS.astype(np.float16)
    for mixing in (Mixing(mixup=1.0), Mixing(cutmix=1.0)):
        assert mixing(half, LABELS, np.random.default_rng(0))[0].dtype == np.float16


def test_the_inputs_themselves_are_never_changed():
    before = INPUTS.copy()
    Mixing(0.5, 0.5)(INPUTS, LABELS, np.random.default_rng(3))
    np.testing.assert_array_equal(INPUTS, before)


def test_one_hot_rows_hold_a_single_one():
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    assert batches.one_hot(np.array([1]), 2).dtype == np.float32
