import importlib.util
import os
import sys

import numpy as np
import pytest

from edgeproof.convert.qat import QatSettings, _with_float_head, qat
from edgeproof.runtime import graph
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def content(digits_model, digits, digits_settings, digits_calibration):
    if importlib.util.find_spec("tensorflow_model_optimization") is None:
        pytest.skip("tensorflow_model_optimization is not installed: needs the qat extra")
    return qat(digits_model, calibration_pixels=digits_calibration, train=digits[0], settings=digits_settings)


@pytest.fixture(scope="module")
def pixels(digits):
    return digits[1].preprocessing.finished(digits[1].stored)


def test_the_file_answers_like_the_model(content, pixels, digits_model):
    found = Runner(content).probabilities(pixels)
    expected = digits_model.predict(pixels.astype(np.float32), verbose=0)
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.95
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert len(set(expected.argmax(axis=1).tolist())) == 10


def test_it_takes_bytes_as_they_are_and_gives_floats(content):
    runner = Runner(content)
    assert (runner.input.dtype, runner.input.scale, runner.input.zero_point) == ("uint8", 1.0, 0)
    assert (runner.output.dtype, runner.output.shape) == ("float32", (1, 10))


def test_every_layer_has_int8_weights_and_only_the_head_computes_floats(content):
    found = graph.quantisation(content)
    assert (found.per_channel_weights, found.per_tensor_weights) == (5, 0)
    read = Graph.read(content)
    floats = [read.kind(n) for n in range(len(read.operators)) if read.is_float(read.given(n))]
    assert floats == ["DEQUANTIZE", "FULLY_CONNECTED", "SOFTMAX"]


def test_no_answer_is_tied(content, pixels):
    found = Runner(content).probabilities(pixels)
    assert ((found == found.max(axis=1, keepdims=True)).sum(axis=1) == 1).all()


def test_another_process_makes_the_same_file_of_the_same_seed(content, toolkit_run):
    assert _with_float_head((toolkit_run / "trained.tflite").read_bytes()) == content


def test_the_float_head_gives_the_logits_of_the_integer_one(toolkit_run, digits_calibration):
    integer = (toolkit_run / "emulated.tflite").read_bytes()
    found = np.log(Runner(_with_float_head(integer)).probabilities(digits_calibration))
    logits = Runner(integer).probabilities(digits_calibration)
    step = (logits.max() - logits.min()) / 255
    first = np.take_along_axis(found - logits, logits.argmax(axis=1)[:, np.newaxis], axis=1)
    difference = np.abs(found - logits - first)[logits > logits.min()]  # below are those that the range cuts off
    assert difference.mean() < step


def test_where_no_dense_layer_comes_last_the_integers_go_into_the_softmax(toolkit_run, digits_calibration):
    read = Graph.read((toolkit_run / "emulated.tflite").read_bytes())
    dense = read.operators.pop(-2)
    read.operators[-1].inputs = [int(dense.inputs[0])]
    read.tensors[read.outputs[0]].shape = list(read.shape(int(dense.inputs[0])))
    found = Graph.read(_with_float_head(read.packed()))
    assert [found.kind(n) for n in range(len(found.operators))][-2:] == ["DEQUANTIZE", "SOFTMAX"]
    given = Runner(found.packed()).probabilities(digits_calibration)
    assert given.shape == (60, 32)
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-5)


def test_the_settings_have_defaults_and_know_their_names():
    assert QatSettings().steps > 0
    with pytest.raises(TypeError, match="epochs"):
        QatSettings(epochs=3)


def test_this_process_never_sees_keras_2(content):
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert not {"tf_keras", "tensorflow_model_optimization"} & set(sys.modules)
