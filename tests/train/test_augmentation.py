import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edgeproof.train import augmentation
from edgeproof.train.augmentation import OPERATIONS, augmented
from edgeproof.train.config import Augmentation

PICTURES = np.random.default_rng(5).integers(0, 256, (200, 6, 5, 3), np.uint8)
NOTHING = Augmentation(flip=False)
EVERYTHING = Augmentation(shift=2, colour=0.3, randaugment=2, magnitude=0.8, erase=0.5)


def look(settings, *, seed=0, view=0, numbers=range(200)):
    return augmented(PICTURES[list(numbers)], settings, seed=seed, view=view, numbers=numbers)


def test_nothing_is_changed_unless_asked_for():
    np.testing.assert_array_equal(look(NOTHING), PICTURES)


def test_a_picture_looks_the_same_whichever_others_are_asked_for_with_it():
    whole = look(EVERYTHING)
    np.testing.assert_array_equal(look(EVERYTHING, numbers=[7, 150, 3]), whole[[7, 150, 3]])


@pytest.mark.parametrize("change", [{"view": 1}, {"seed": 1}])
def test_another_view_and_another_seed_look_different(change):
    different = (look(EVERYTHING, **change) != look(EVERYTHING)).any(axis=(1, 2, 3))
    assert different.mean() > 0.95


def test_a_flip_mirrors_about_half_of_the_pictures_and_leaves_the_others():
    found = look(Augmentation())
    mirrored = [np.array_equal(one, other[:, ::-1]) for one, other in zip(found, PICTURES, strict=True)]
    same = [np.array_equal(one, other) for one, other in zip(found, PICTURES, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


def test_a_shift_moves_each_picture_by_at_most_so_many_pixels_and_repeats_the_border():
    moves = set()
    for one, original in zip(look(replace(NOTHING, shift=2)), PICTURES, strict=True):
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


def test_a_shift_below_1_is_a_share_of_the_side():
    np.testing.assert_array_equal(look(replace(NOTHING, shift=0.4)), look(replace(NOTHING, shift=2)))
    np.testing.assert_array_equal(look(replace(NOTHING, shift=0.05)), PICTURES)


def test_an_erased_square_has_the_mean_colour_and_at_most_its_share_of_the_side():
    for one, original in zip(look(replace(NOTHING, erase=0.9)), PICTURES, strict=True):
        rows, columns = np.nonzero((one != original).any(axis=2))
        if not len(rows):
            continue
        assert max(np.ptp(rows), np.ptp(columns)) < 4
        mean = original.mean(axis=(0, 1)).astype(np.uint8)
        np.testing.assert_array_equal(one[rows, columns], np.broadcast_to(mean, (len(rows), 3)))


def test_colour_changes_the_brightness_and_keeps_shapes_in_place():
    grey = np.full((50, 8, 8, 3), 128, np.uint8)
    found = augmented(grey, replace(NOTHING, colour=0.4), seed=0, view=0, numbers=range(50))
    levels = found[:, 0, 0, 0].astype(int)
    assert (found == found[:, :1, :1, :1]).all()
    assert 70 <= levels.min() < 110 < 145 < levels.max() <= 180


@pytest.mark.parametrize("index", range(len(OPERATIONS)))
def test_every_operation_keeps_size_and_type_and_does_little_at_strength_0(index):
    """But for the two that have no strength, and the first, which does nothing."""
    smooth = (120 + 100 * np.sin(np.arange(32) / 3)).astype(np.uint8)
    image = Image.fromarray(np.stack([smooth[:, None] + 0 * smooth, smooth + 0 * smooth[:, None]] * 2, axis=2)[..., :3])
    for strength in (-0.8, 0.0, 0.8):
        found = OPERATIONS[index](image, strength)
        assert (found.size, found.mode) == (image.size, "RGB")
    if index not in (1, 2):
        found = np.asarray(OPERATIONS[index](image, 0.0)).astype(int)
        assert np.abs(found - np.asarray(image)).max() <= 1
    if index:
        assert (np.asarray(OPERATIONS[index](image, 0.8)) != np.asarray(image)).any()


def test_all_operations_are_drawn(monkeypatch):
    drawn = set()
    counting = tuple(lambda image, strength, index=index: drawn.add(index) or image for index in range(len(OPERATIONS)))
    monkeypatch.setattr(augmentation, "OPERATIONS", counting)
    look(replace(NOTHING, randaugment=1))
    assert drawn == set(range(len(OPERATIONS)))


def test_the_pictures_themselves_are_never_changed():
    before = PICTURES.copy()
    look(EVERYTHING)
    np.testing.assert_array_equal(PICTURES, before)
