from collections import namedtuple

import numpy as np
import pytest

from edgeproof.train import views
from edgeproof.train.batches import PictureSource
from edgeproof.train.config import Augmentation
from edgeproof.train.views import CachedViews

MOVED = Augmentation(flip=True, shift=2)


class Doubling:
    """A frozen part that a test can see through: the pixels' means, doubled; it counts its pictures."""

    shape = (3,)

    def __init__(self):
        self.seen = 0

    def outputs(self, pixels):
        self.seen += len(pixels)
        return 2 * pixels.mean(axis=(1, 2), dtype=np.float32)


@pytest.fixture
def part():
    return Doubling()


@pytest.fixture
def cached(tiny_pictures, part, tmp_path):
    def make(epochs=4, count=1, dtype=np.float32):
        source = PictureSource(tiny_pictures, MOVED, 0, count)
        return CachedViews(source, part, tmp_path / "cache", epochs=epochs, dtype=dtype, name="Means")

    return make


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_inputs_are_what_the_part_makes_of_that_epochs_view(cached, tiny_pictures):
    made = cached(count=2)
    numbers = np.array([39, 0, 7])
    for epoch in range(4):
        made.prepare(epoch)
        wanted = 2 * made._source.inputs(epoch, numbers).mean(axis=(1, 2), dtype=np.float32)
        np.testing.assert_allclose(made.inputs(epoch, numbers), wanted, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_each_view_is_computed_once(count, cached, part):
    made = cached(count=count)
    for epoch in range(4):
        made.prepare(epoch)
    assert part.seen == 40 * count


def test_only_views_that_are_looked_at_again_stay_on_disk(cached, tmp_path):
    made, ever_new = cached(count=2), cached(count=4)
    found = []
    for each in (made, ever_new):
        for epoch in range(4):
            each.prepare(epoch)
            found.append(len(files(tmp_path)))
        each.close()
    assert found == [1, 2, 2, 1, 1, 1, 1, 1]
    assert not files(tmp_path)


def test_a_restarted_training_makes_the_same_view_again(cached):
    numbers = np.arange(40)
    first, again = cached(count=2), cached(count=2)
    first.prepare(0)
    first.prepare(1)
    again.prepare(1)
    np.testing.assert_array_equal(first.inputs(1, numbers), again.inputs(1, numbers))
    assert not np.array_equal(first.inputs(0, numbers), first.inputs(1, numbers))


def test_half_precision_halves_the_file(cached, tmp_path):
    made = cached(dtype=np.float16)
    made.prepare(0)
    assert made.inputs(0, np.arange(2)).dtype == np.float16
    assert (tmp_path / "cache" / "Means-0.rows").stat().st_size == 40 * 3 * 2


def test_a_disk_without_room_is_noticed_before_it_is_full(monkeypatch, tmp_path, caplog):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(views.shutil, "disk_usage", lambda path: usage(100_000, 90_000, 10_000))
    assert views.room_for((10,), np.float16, 200, tmp_path / "new" / "cache")
    assert not views.room_for((10,), np.float16, 300, tmp_path / "new" / "cache")
    assert "it is computed in every epoch instead" in caplog.text


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2, 2), (3, 1)])
def test_the_disk_has_to_hold_the_views_that_are_looked_at_again(count, kept):
    assert views.kept(count, epochs=3) == kept
