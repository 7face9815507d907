import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from edgeproof.convert.export import export
from edgeproof.runtime import ModelError, graph, modelfile
from edgeproof.runtime.interpreter import Runner


def pixels(count, seed=0):
    """Plain pictures in all colours."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 1, 1, 3), np.uint8)
    return np.broadcast_to(colours, (count, 8, 8, 3)).copy()


@pytest.fixture(scope="module")
def model(mean_colour):
    return mean_colour()


@pytest.fixture(scope="module")
def exported(model):
    return export(model)


def test_the_float_file_gives_keras_outputs(model, exported):
    found = Runner(exported).probabilities(pixels(20, seed=1))
    expected = model.predict(pixels(20, seed=1).astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(set(expected.argmax(axis=1).tolist())) > 2


@pytest.mark.parametrize("form", ["nested", "sequential"])
def test_so_it_does_for_a_model_in_a_model_and_for_one_in_a_row(form, mean_colour):
    model = mean_colour(form=form)
    found = Runner(export(model)).probabilities(pixels(20, seed=1))
    np.testing.assert_allclose(found, model.predict(pixels(20, seed=1).astype(np.float32), verbose=0), atol=1e-6)


def test_the_file_takes_and_gives_floats_and_computes_in_them(exported):
    runner = Runner(exported)
    assert (runner.input.dtype, runner.output.dtype) == ("float32", "float32")
    found = graph.quantisation(exported)
    assert found.float_operators == found.operators
    assert found.integer_multiply_accumulates == 0


def test_the_batch_is_fixed_at_one_and_can_be_resized(exported):
    details = Interpreter(model_content=exported).get_input_details()[0]
    assert details["shape"].tolist() == [1, 8, 8, 3]
    assert details["shape_signature"].tolist() == [1, 8, 8, 3]
    runner = Runner(exported)
    together = runner.probabilities(pixels(7))
    alone = np.concatenate([runner.probabilities(pixels(7)[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("recipe", ["float32", "int8"])
def test_the_exports_of_a_real_network_have_the_same_form(recipe, colour_exports):
    flatbuffer = modelfile.read(colour_exports / f"colours-{recipe}.tflite").flatbuffer
    details = Interpreter(model_content=flatbuffer).get_input_details()[0]
    assert details["shape_signature"].tolist() == [1, 32, 32, 3]
    pictures = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)
    assert Runner(flatbuffer).probabilities(pictures).shape == (7, 4)


def test_an_export_says_nothing_on_the_streams(model, capfd):
    export(model)
    assert capfd.readouterr() == ("", "")


def test_what_the_converter_cannot_do_is_told_in_one_line():
    inputs = keras.Input((8, 8, 3))
    python = keras.layers.Lambda(lambda x: tf.ensure_shape(tf.numpy_function(np.abs, [x], tf.float32), x.shape))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(python(inputs)))
    with pytest.raises(ModelError, match=r"^The model cannot be exported \([^\n]+ops: PyFunc\)\.$"):
        export(model)
