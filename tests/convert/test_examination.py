from dataclasses import replace

import numpy as np
import pytest

from edgeproof.convert import calibration, inputs
from edgeproof.convert.examination import LEAST, examine, hold_out
from edgeproof.runtime.errors import DataError


@pytest.fixture(scope="module")
def given(colour_run):
    return inputs.from_run(colour_run.folder)


def test_held_out_pictures_neither_calibrate_nor_test(given):
    # The last training picture is a test picture too.
    shared = given.evidence.test.take([0])
    train = replace(
        given.train,
        stored=np.concatenate([given.train.stored[:-1], shared.stored]),
        hashes=(*given.train.hashes[:-1], *shared.hashes),
    )
    sample = calibration.choose(train.take(range(len(train) - 1)), images=20, seed=0)
    found = hold_out(replace(given, train=train), sample, images=1000)
    assert len(found.pixels) == len(found.classes) == len(train) - 20 - 1
    seen = {picture.tobytes() for picture in found.pixels}
    for passed in (sample.pictures, shared):
        assert seen.isdisjoint(each.tobytes() for each in passed.preprocessing.finished(passed.stored))


def test_held_out_pictures_are_balanced_and_chosen_by_the_seed(given):
    sample = calibration.choose(given.train, images=20, seed=0)
    one, again, other = (hold_out(given, sample, images=20, seed=seed) for seed in (1, 1, 2))
    assert np.bincount(one.classes).tolist() == [5, 5, 5, 5]
    np.testing.assert_array_equal(one.pixels, again.pixels)
    assert (one.pixels != other.pixels).any()


def test_too_few_pictures_are_refused_with_what_to_do(given):
    sample = calibration.choose(given.train, images=len(given.train) - LEAST + 1, seed=0)
    with pytest.raises(DataError, match=r"19 training pictures are left .* Give fewer --calibration-images"):
        hold_out(given, sample)


@pytest.mark.slow
def test_a_run_is_examined_under_the_names_of_its_keras_layers(given):
    pytest.importorskip("litert_quantizer", reason="needs the train extra")
    sample = calibration.choose(given.train, images=20, seed=0)
    found = examine(given, sample, images=20)
    names = {layer.name for layer in found.layers}
    layers = {layer.name for layer in given.reference.model.layers}
    assert names <= layers
    assert {"Conv1", "expanded_conv_depthwise", "block_2_add", "Conv_1"} <= names
    assert (found.calibration_images, found.held_out_images) == (20, 20)
    assert found.model == given.reference.name
