import sys

import keras
import msgspec
import numpy as np
import pytest

from edgeproof.convert import twin
from edgeproof.convert.process import Progress
from edgeproof.runtime import graph
from edgeproof.runtime.interpreter import Runner

pytestmark = pytest.mark.long


def steps_used(kernel, axes):
    """How many steps of its channel's 127 each weight has."""
    return kernel / (np.abs(kernel).max(axis=axes, keepdims=True) / 127)


@pytest.mark.parametrize(("name", "axes"), [("first", (0, 1, 2)), ("depth", (0, 1)), ("answers", 0)])
def test_kernels_are_rounded_in_steps_of_each_channel(name, axes, toolkit_run):
    with np.load(toolkit_run / "kernels.npz") as kernels:
        steps = steps_used(kernels[name], axes)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-2)
    assert len(np.unique(np.rint(steps))) > 20


def test_the_file_computes_what_the_training_sees(toolkit_run, digits_calibration):
    content = (toolkit_run / "emulated.tflite").read_bytes()
    found = Runner(content).probabilities(digits_calibration)
    expected = np.load(toolkit_run / "emulated.npy")
    step = (expected.max() - expected.min()) / 255
    assert np.abs(found - expected).mean() < 0.5 * step
    assert np.abs(found - expected).max() < 4 * step
    assert len(set(expected.argmax(axis=1).tolist())) > 5


def test_with_uint8_answers_everything_is_integers(toolkit_run, digits, digits_model):
    content = (toolkit_run / "integers.tflite").read_bytes()
    runner = Runner(content)
    assert (runner.input.dtype, runner.input.scale, runner.input.zero_point) == ("uint8", 1.0, 0)
    assert (runner.output.dtype, runner.output.scale, runner.output.zero_point) == ("uint8", 1 / 256, 0)
    assert graph.quantisation(content).float_operators == 0
    pixels = digits[1].preprocessing.finished(digits[1].stored)
    expected = digits_model.predict(pixels.astype(np.float32), verbose=0)
    assert (runner.probabilities(pixels).argmax(1) == expected.argmax(1)).mean() > 0.9


def test_pruning_takes_the_share_of_large_kernels_and_leaves_the_others_whole(toolkit_run):
    with np.load(toolkit_run / "pruned.npz") as pruned:
        zeros = {name.removesuffix("/0"): float((pruned[name] == 0).mean()) for name in pruned if name.endswith("/0")}
    assert zeros["last"] == pytest.approx(0.75, abs=0.01)
    assert {zeros[name] for name in ("first", "depth", "point", "answers")} == {0.0}


def test_clustering_leaves_that_many_values_in_large_kernels(toolkit_run):
    with np.load(toolkit_run / "clustered.npz") as clustered:
        assert 2 <= len(np.unique(clustered["last/0"])) <= 8
        assert len(np.unique(clustered["first/0"])) > 100


@pytest.mark.parametrize("name", ["pruned", "clustered"])
def test_batch_norm_keeps_its_weights(name, toolkit_run, digits_model):
    described = {layer.name: layer.weights for layer in twin.describe(digits_model).layers}
    with np.load(toolkit_run / f"{name}.npz") as found:
        for number in (0, 1):
            np.testing.assert_array_equal(found[f"first_bn/{number}"], described["first_bn"][number])
        # The kernel before it is too small to be changed.
        np.testing.assert_allclose(found["first_bn/2"], described["first_bn"][2], atol=1e-4)


def test_it_tells_how_far_it_is_and_why_it_stops(toolkit_run):
    told = [
        msgspec.json.decode(line, type=Progress)
        for line in (toolkit_run / "stdout").read_text().splitlines()
        if line.startswith("{")
    ]
    assert [each.done for each in told[:3]] == [10, 20, 30]
    assert told[0].note.startswith("same answers ")
    assert told[-1].error.startswith("The model's twin for training answers otherwise: outputs differ by up to 0.25")


def test_this_process_still_has_keras_3(toolkit_run):
    assert keras.__version__.startswith("3.")
    assert not {"tf_keras", "tensorflow_model_optimization"} & set(sys.modules)
