"""The models that ship: whole, small, and as good as they say."""

import os
from pathlib import Path

import numpy as np
import pytest

from edgeproof import models
from edgeproof.runtime import Classifier, ModelError, replay, testset
from edgeproof.runtime.accuracy import top_k

DATA = os.environ.get("EDGEPROOF_DATA")


@pytest.fixture(scope="module")
def shipped():
    return Classifier(models.path(models.CLASSIFIER))


def test_the_shipped_classifier_is_small_and_multiplies_integers_alone(shipped):
    assert shipped.file.size_bytes < 1_500_000
    contract = shipped.file.contract
    assert contract.recipe == "int8"
    assert contract.quantisation.integer_multiply_accumulates == contract.quantisation.multiply_accumulates > 0
    assert contract.quantisation.float_operators <= 3
    assert (contract.input.dtype, contract.input.scale, contract.input.zero_point) == ("uint8", 1.0, 0)
    assert len(shipped.labels) == 100


def test_the_shipped_classifier_was_verified_on_the_whole_test_set_and_accepted(shipped):
    found = shipped.file.contract.verification
    assert found.images == 10_000
    assert found.drop_points <= 0.5
    assert found.ties == 0


def test_the_shipped_classifier_answers_its_golden_examples_as_expected_and_differently(shipped):
    assert replay.replay(shipped).sound
    assert len({example.label for example in shipped.file.contract.golden.examples}) >= 8


def test_the_bundled_backbone_is_small_and_in_half_precision():
    path = models.path(models.BACKBONE)
    assert path.stat().st_size < 1_500_000
    with np.load(path, allow_pickle=False) as arrays:
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype(np.float16)}
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files)


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(ModelError, match="lacks the shipped model"):
        models.path("none.tflite")


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="EDGEPROOF_DATA names no folder with CIFAR-100")
def test_the_shipped_classifier_scores_on_cifar100_what_its_contract_says(shipped):
    archive = Path(DATA or "") / "data" / "cifar100-test.zip"
    test = testset.load(archive, shipped.preprocessing, shipped.labels)
    outputs = np.concatenate([shipped.probabilities(pixels) for pixels, _ in test.batches(256)])
    said = shipped.file.contract.verification
    # Other machines' kernels may round another way; on the machine of the export it is equal.
    assert top_k(outputs, test.classes, 1).share == pytest.approx(said.top1, abs=0.002)
    assert top_k(outputs, test.classes, 5).share == pytest.approx(said.top5, abs=0.002)
