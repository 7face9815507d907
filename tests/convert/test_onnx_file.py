"""An ONNX file beside the Keras model that it was made of."""

import pytest

from edgeproof.runtime import ModelError
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, decode

pytest.importorskip("tensorflow", reason="needs the train extra")
pytest.importorskip("tf2onnx", reason="needs the onnx extra")
LABELS = ("red", "green", "blue", "grey")


@pytest.fixture(scope="module")
def graph(colour_onnx):
    return colour_onnx[1]


@pytest.fixture
def written(graph, tiny_model_path, tmp_path):
    """The file, with the contract of another."""
    from edgeproof.convert import onnx_file
    from edgeproof.runtime import modelfile

    files = onnx_file.write(graph, LABELS, modelfile.read(tiny_model_path).contract)
    path = tmp_path / "model.onnx"
    path.write_bytes(files[".onnx"])
    return path


@pytest.mark.parametrize("count", [1, 5])
def test_a_batch_of_any_size_gets_keras_answers_from_raw_pixels(answers_as_keras, written, count):
    from edgeproof.convert.onnx_file import OnnxRunner

    answers_as_keras(OnnxRunner(written), count)


def test_a_client_reads_names_labels_and_the_contract_from_the_file(written, tiny_model_path):
    import onnxruntime

    from edgeproof.runtime import modelfile

    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    taken, given = session.get_inputs()[0], session.get_outputs()[0]
    assert (taken.name, taken.shape, taken.type) == ("pixels", ["batch", 8, 8, 3], "tensor(float)")
    assert (given.name, given.shape) == ("probabilities", ["batch", 4])
    said = session.get_modelmeta().custom_metadata_map
    assert said[LABELS_NAME].splitlines() == list(LABELS)
    assert decode(said[CONTRACT_NAME].encode(), "onnx") == modelfile.read(tiny_model_path).contract


def test_operators_are_counted(graph):
    import onnx

    from edgeproof.convert import onnx_file

    assert onnx_file.operators(graph) == len(onnx.load_from_string(graph).graph.node) > 2


@pytest.mark.filterwarnings("ignore")  # tf2onnx logs what it cannot translate
def test_a_model_with_an_operator_that_onnx_lacks_is_refused_in_one_line():
    import keras
    import tensorflow as tf

    from edgeproof.convert import onnx_file

    class Odd(keras.layers.Layer):
        def call(self, pixels):
            return tf.reduce_mean(tf.math.bessel_i0e(pixels), axis=(1, 2))

    inputs = keras.Input((8, 8, 3))
    with pytest.raises(ModelError, match=r"cannot be exported as ONNX \(.+\)") as error:
        onnx_file.export(keras.Model(inputs, Odd()(inputs)))
    assert "\n" not in str(error.value)
