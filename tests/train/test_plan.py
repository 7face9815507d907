import numpy as np
import pytest
from msgspec.structs import replace

from edgeproof.runtime import DataError
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import plan
from edgeproof.train.config import Augmentation, Config, Data, Finetune, Head
from edgeproof.train.dataset import Survey
from edgeproof.train.plan import Costs, PhaseCosts

GB = 10**9
HEAD = PhaseCosts(0.001, 0.01, 0.002, (1280,), 4, 700, 2000)
FINETUNE = PhaseCosts(0.002, 0.5, 0.1, (12, 12, 32), 2, 2500, 200)
COSTS = Costs(HEAD, FINETUNE, 0.0005, 0.003, GB)
CONFIG = Config(head=Head(epochs=10, batch=100, views=0), finetune=Finetune(epochs=5, batch=64))


def survey(*counts, test=100, side=32, from_files=True):
    chain = Preprocessing(steps=(Resize(width=side, height=side), Resize(width=96, height=96)))
    none = LabelledPictures(
        tuple("ab"[: len(counts)]), (), np.empty(0, np.int64), np.empty((0, 1, 1, 3), np.uint8), (), chain
    )
    return Survey(none.labels, np.array(counts), test, none, 0.0005, from_files)


def made(config=CONFIG, given=None, costs=COSTS, limit=2 * GB):
    return plan.make(config, given or survey(600, 401), costs, limit)


def test_every_picture_is_seen_once_an_epoch_and_the_last_step_is_partial():
    found = made()
    assert (found.training_pictures, found.validation_pictures, found.test_pictures) == (1001, 0, 100)
    assert [(phase.steps_per_epoch, phase.steps) for phase in found.phases] == [(11, 110), (16, 80)]
    assert found.steps == 190
    assert (found.classes, found.fewest_in_a_class, found.most_in_a_class) == (2, 401, 600)
    assert found.sizes == (32, 96)


def test_what_is_cut_off_for_validation_is_watched_and_not_trained_on():
    config = replace(CONFIG, data=Data(validation_share=0.1))
    found = made(config)
    assert (found.training_pictures, found.validation_pictures) == (901, 100)
    assert found.phases[0].steps_per_epoch == 10


def test_time_is_that_of_views_steps_and_what_is_watched():
    seconds = plan.phase_seconds(FINETUNE, train=1001, watched=100, batch=64, epochs=5, views=3)
    assert seconds == pytest.approx((3 * 1001 + 100) * 0.002 + 5 * (16 * 0.5 + 2 * 0.1))
    found = made()
    assert found.phases[0].seconds == round(1101 * 0.001 + 10 * (11 * 0.01 + 1 * 0.002), 1)
    own = [phase.seconds for phase in found.phases]
    assert found.seconds == pytest.approx(sum(own) + 1101 * 0.0005 + 100 * 0.003, abs=0.06)


@pytest.mark.parametrize(
    ("head_views", "finetune_views", "views", "kept"),
    [(0, 0, (1, 5), (1, 1)), (2, 2, (2, 2), (2, 2)), (10, 5, (10, 5), (1, 1)), (99, 99, (10, 5), (1, 1))],
)
def test_views_are_kept_while_an_epoch_will_look_at_them(head_views, finetune_views, views, kept):
    config = replace(
        CONFIG, head=replace(CONFIG.head, views=head_views), finetune=replace(CONFIG.finetune, views=finetune_views)
    )
    phases = made(config).phases
    assert tuple(phase.views for phase in phases) == views
    sizes = (1280 * 4, 12 * 12 * 32 * 2)
    assert tuple(phase.cache_bytes for phase in phases) == tuple(
        size * (count * 1001 + 100) for size, count in zip(sizes, kept, strict=True)
    )


def test_pictures_that_nothing_changes_are_one_view():
    found = made(replace(CONFIG, augmentation=Augmentation(flip=False), head=replace(CONFIG.head, views=2)))
    assert [phase.views for phase in found.phases] == [1, 1]
    assert found.phases[1].cache_bytes == 12 * 12 * 32 * 2 * (1001 + 100)


def test_a_phase_without_epochs_costs_nothing():
    found = made(replace(CONFIG, finetune=replace(CONFIG.finetune, epochs=0)))
    assert (found.phases[1].steps, found.phases[1].seconds, found.phases[1].cache_bytes) == (0, 0, 0)


def test_where_nothing_is_frozen_nothing_is_cached():
    found = made(costs=Costs(HEAD, PhaseCosts(0.0, 1.0, 0.1, (), 2, 2700, 0), 0.0, 0.0, GB))
    assert (found.phases[1].views, found.phases[1].cache_bytes) == (0, 0)


def test_decoded_pictures_beyond_a_share_of_the_limit_lie_in_files():
    many = survey(100_000, 60_000, test=40_000, side=96)
    found = made(given=many)
    decoded = 200_000 * 96 * 96 * 3
    assert found.pictures_in == "files"
    assert found.disk_bytes == max(phase.cache_bytes for phase in found.phases) + decoded
    assert found.memory_bytes == GB + 200_000 * plan.PER_PICTURE
    assert found.fits
    inside = made(given=many, limit=24 * GB)
    assert (inside.pictures_in, inside.memory_bytes) == ("memory", GB + 200_000 * plan.PER_PICTURE + decoded)
    assert not made(given=many, limit=GB).fits


def test_arrays_that_are_in_memory_anyway_stay_there():
    assert made(given=survey(100_000, 60_000, side=96, from_files=False)).pictures_in == "memory"


@pytest.mark.parametrize("given", [survey(5), survey(5, 0), survey(5, 5, test=0)], ids=["one", "empty", "no test"])
def test_what_cannot_be_trained_on_is_refused(given):
    with pytest.raises(DataError, match="no pictures to train and test two classes with"):
        plan.parts(given, CONFIG)
