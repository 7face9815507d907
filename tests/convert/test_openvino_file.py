"""OpenVINO's pair of files beside the Keras model that it was made of."""

import subprocess
import sys

import pytest

from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, decode

pytest.importorskip("tensorflow", reason="needs the train extra")
pytest.importorskip("tf2onnx", reason="needs the onnx extra")
pytest.importorskip("openvino", reason="needs the openvino extra")
LABELS = ("red", "green", "blue", "grey")
# Writes and runs the files of an ONNX graph, and prints what was tried meanwhile that could reach a server.
WATCHED = """
import sys
seen = []
sys.addaudithook(lambda event, values: seen.append(event) if event.startswith(("socket.", "subprocess.")) else None)
from pathlib import Path
import numpy as np
from edgeproof.convert import openvino_file
from edgeproof.runtime import modelfile
folder = Path(sys.argv[1])
contract = modelfile.read(folder / "tiny-float32.tflite").contract
for suffix, content in openvino_file.write((folder / "graph").read_bytes(), ("a", "b", "c", "d"), contract).items():
    (folder / f"model{suffix}").write_bytes(content)
openvino_file.OpenVinoRunner(folder / "model.xml").probabilities(np.zeros((1, 8, 8, 3), np.uint8))
print(seen)
"""


@pytest.fixture(scope="module")
def graph(colour_onnx):
    return colour_onnx[1]


@pytest.fixture
def written(graph, tiny_model_path, tmp_path):
    from edgeproof.convert import openvino_file
    from edgeproof.runtime import modelfile

    files = openvino_file.write(graph, LABELS, modelfile.read(tiny_model_path).contract)
    assert list(files) == [".bin", ".xml"]
    for suffix, content in files.items():
        (tmp_path / f"model{suffix}").write_bytes(content)
    return tmp_path / "model.xml"


@pytest.mark.parametrize("count", [1, 5])
def test_a_batch_of_any_size_gets_keras_answers_from_raw_pixels(answers_as_keras, written, count):
    from edgeproof.convert.openvino_file import OpenVinoRunner

    answers_as_keras(OpenVinoRunner(written), count)


def test_the_files_carry_labels_and_contract_and_float32_weights(written, tiny_model_path):
    import openvino

    from edgeproof.runtime import modelfile

    found = openvino.Core().read_model(written)
    assert found.get_rt_info(["edgeproof", LABELS_NAME]).astype(str).splitlines() == list(LABELS)
    said = found.get_rt_info(["edgeproof", CONTRACT_NAME]).astype(str)
    assert decode(said.encode(), "xml") == modelfile.read(tiny_model_path).contract
    kinds = {each.get_element_type().to_string() for each in found.get_ops() if each.get_type_name() == "Constant"}
    assert "f32" in kinds
    assert "f16" not in kinds


def test_nothing_is_sent_anywhere(graph, tiny_model_path, tmp_path):
    (tmp_path / "graph").write_bytes(graph)
    run = subprocess.run([sys.executable, "-c", WATCHED, tmp_path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
