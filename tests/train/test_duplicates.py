import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime.contract import sha256
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import duplicates


def scene(seed, size):
    """A drawn scene of ellipses, bars and grain: no two seeds alike."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64] / 64
    picture = np.ones((64, 64, 3)) * draw.integers(30, 226, 3)
    for _ in range(14):
        cy, cx, ry, rx = draw.random(2).tolist() + (0.05 + 0.3 * draw.random(2)).tolist()
        inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        picture[inside] = draw.integers(0, 256, 3)
    return resized((picture + draw.normal(0, 8, picture.shape)).clip(0, 255).astype(np.uint8), size)


def resized(picture, size):
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR))


def recompressed(picture):
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=40)
    return np.asarray(Image.open(content).convert("RGB"))


CHANGES = {
    "mirrored": lambda picture: picture[:, ::-1],
    "recompressed": recompressed,
    "darker": lambda picture: (picture * 0.6 + 5).astype(np.uint8),
    "moved": lambda picture: np.roll(picture, (len(picture) // 32, -(len(picture) // 32)), (0, 1)),
    "made smaller and larger": lambda picture: resized(resized(picture, len(picture) * 3 // 4), len(picture)),
}


def part(name, stored):
    stored = np.asarray(stored, np.uint8)
    return LabelledPictures(
        ("a",),
        tuple(f"{name}/{number}" for number in range(len(stored))),
        np.zeros(len(stored), np.int64),
        stored,
        tuple(sha256(picture.tobytes()) for picture in stored),
        Preprocessing(steps=(Resize(width=stored.shape[2], height=stored.shape[1]),)),
    )


@pytest.fixture(scope="module", params=[32, 48])
def size(request):
    return request.param


@pytest.fixture(scope="module")
def train(size):
    return part("train", [scene(seed, size) for seed in range(150)])


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_other_pictures_are_not(change, train, size):
    others = [scene(seed, size) for seed in range(1000, 1060)]
    test = part("test", [*others, CHANGES[change](train.stored[7])])
    found = duplicates.near(train, test)
    assert [(pair.train, pair.test) for pair in found.pairs] == [("train/7", "test/60")]
    assert duplicates.SIMILAR <= found.pairs[0].similarity <= 1
    assert (found.compared, found.test_pictures) == (61, 61)


def test_equal_pictures_are_found_as_such_and_not_as_near_ones(train):
    test = part("test", [train.stored[3], train.stored[9], train.stored[3]])
    assert duplicates.exact(train, test) == (("train/3", "test/0"), ("train/9", "test/1"), ("train/3", "test/2"))
    assert duplicates.near(train, test) == duplicates.Near((), 3, 3)


def likeness(picture, seed):
    """The picture without its details, with others instead: as a field below a sky is like another one."""
    smooth = resized(resized(picture, 8), len(picture)).astype(np.int64)
    grain = np.random.default_rng(seed).normal(0, 25, smooth.shape[:2])[..., np.newaxis]
    return (smooth + grain).clip(0, 255).astype(np.uint8)


def test_what_is_alike_but_for_its_details_is_no_duplicate(train, monkeypatch):
    test = part("test", [likeness(train.stored[number], number) for number in range(20)])
    assert duplicates.near(train, test).pairs == ()
    monkeypatch.setattr(duplicates, "SIMILAR", 0.0)
    assert len(duplicates.near(train, test).pairs) > 10  # the details decided


def test_copies_within_the_training_set_do_not_hide_a_near_duplicate(train):
    asked = train.stored[5]
    often = part("train", [likeness(asked, 0)] * 20 + [np.roll(asked, len(asked) // 16, axis=0)])
    assert [pair.train for pair in duplicates.near(often, part("test", [asked])).pairs] == ["train/20"]


def test_the_most_alike_comes_first_and_each_test_picture_once(train):
    test = part("test", [recompressed(train.stored[4]), (train.stored[8] * 0.9).astype(np.uint8)])
    twice = part("train", [*train.stored, (train.stored[8] * 0.95).astype(np.uint8)])
    found = duplicates.near(twice, test).pairs
    assert [pair.test for pair in found] == ["test/1", "test/0"]


def test_even_pictures_are_not_taken_for_one_another():
    flat = [np.full((32, 32, 3), value) for value in range(0, 250, 10)]
    assert duplicates.near(part("train", flat), part("test", [picture + 3 for picture in flat])).pairs == ()


def test_pictures_that_are_too_small_are_not_compared():
    pictures = [scene(seed, 8) for seed in range(5)]
    found = duplicates.near(part("train", pictures), part("test", [recompressed(each) for each in pictures]))
    assert found == duplicates.Near((), 0, 5)


def test_beyond_a_number_of_comparisons_some_test_pictures_are_looked_up(train, monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 10 * len(train))
    found = duplicates.near(train, part("test", [recompressed(picture) for picture in train.stored[:40]]))
    assert (found.compared, found.test_pictures) == (10, 40)
    assert {pair.test for pair in found.pairs} == {f"test/{number}" for number in range(0, 40, 4)}


def test_pictures_outside_memory_are_read_in_parts(train, watched_view, monkeypatch):
    monkeypatch.setattr(duplicates, "_PART", 32)
    monkeypatch.setattr(duplicates, "_BLOCK", 40)
    outside = replace(train, stored=watched_view(train.stored, np.arange(len(train))))
    test = part("test", [recompressed(train.stored[149]), train.stored[2][:, ::-1]])
    assert {pair.train for pair in duplicates.near(outside, test).pairs} == {"train/149", "train/2"}
    assert max(outside.stored.sizes) <= 32
