import shutil
import sys
import zlib

import keras
import numpy as np
import pytest

from edgeproof.convert import compression
from edgeproof.convert.finetuning import Finetuning
from edgeproof.runtime import ConfigError, ModelError

layers = keras.layers


def leaving(path):
    """A command that leaves a file as the toolkit's result."""
    return (sys.executable, "-c", f"import shutil, sys; shutil.copy({str(path)!r}, sys.argv[1] + '/result')")


@pytest.fixture
def pruned(digits_model, digits, toolkit_run):
    command = leaving(toolkit_run / "pruned.npz")
    return compression.prune(digits_model, 0.75, train=digits[0], settings=Finetuning(steps=0), command=command)


@pytest.fixture
def clustered(digits_model, digits, toolkit_run):
    command = leaving(toolkit_run / "clustered.npz")
    return compression.cluster(digits_model, 8, train=digits[0], settings=Finetuning(steps=0), command=command)


def last_kernel(model):
    return np.asarray(model.get_layer("base").get_layer("last").kernel)


def same_answers(model, other, pictures):
    pixels = pictures.preprocessing.finished(pictures.stored).astype(np.float32)
    return (model.predict(pixels, verbose=0).argmax(1) == other.predict(pixels, verbose=0).argmax(1)).mean()


@pytest.mark.long
def test_a_pruned_model_is_a_copy_with_zeros_that_answers_much_the_same(pruned, digits_model, digits):
    assert (last_kernel(pruned) == 0).mean() == pytest.approx(0.75, abs=0.01)
    assert (last_kernel(digits_model) == 0).mean() < 0.01
    assert same_answers(pruned, digits_model, digits[1]) > 0.8


@pytest.mark.long
def test_the_share_of_zeros_is_that_of_all_kernels(pruned):
    kernels = [array for array in pruned.get_weights() if array.ndim > 1]
    zeros, total = sum((array == 0).sum() for array in kernels), sum(array.size for array in kernels)
    assert compression.sparsity_of(pruned) == pytest.approx(zeros / total)
    assert 0.5 < zeros / total < 0.75


@pytest.mark.long
def test_a_clustered_model_is_a_copy_with_few_values_that_answers_much_the_same(clustered, digits_model, digits):
    assert len(np.unique(last_kernel(clustered))) <= 8 < len(np.unique(last_kernel(digits_model)))
    assert same_answers(clustered, digits_model, digits[1]) > 0.8


@pytest.mark.long
def test_pruned_and_clustered_weights_compress_better(pruned, clustered, digits_model):
    whole, less, few = (
        compression.compressed_size(last_kernel(model).tobytes()) for model in (digits_model, pruned, clustered)
    )
    assert less < 0.5 * whole
    assert few < 0.3 * whole


def test_the_compressed_size_is_that_of_zlib_at_its_highest_level():
    content = bytes(range(256)) * 40
    assert compression.compressed_size(content) == len(zlib.compress(content, 9)) < 1000


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 50])
def test_a_share_outside_0_to_1_is_refused(share, digits_model, digits):
    with pytest.raises(ConfigError, match=f"--prune {share:g}: a share of weights between 0 and 1 is expected"):
        compression.prune(digits_model, share, train=digits[0])


def test_fewer_than_2_values_are_refused(digits_model, digits):
    with pytest.raises(ConfigError, match="--cluster 1: at least 2 values a kernel are expected"):
        compression.cluster(digits_model, 1, train=digits[0])


def test_a_layer_that_is_used_twice_is_refused(digits):
    picture, shared = keras.Input((16, 16, 3)), layers.Conv2D(3, 3, padding="same", name="shared")
    model = keras.Model(picture, layers.Dense(10, activation="softmax")(layers.Flatten()(shared(shared(picture)))))
    with pytest.raises(ModelError, match="'shared' is used more than once"):
        compression.prune(model, 0.5, train=digits[0], command=leaving(shutil.which("true")))
