"""ONNX and OpenVINO files go through the gate that .tflite files go through."""

import sys

import msgspec
import numpy as np
import pytest

from edgeproof.convert.verification import Evidence, Summary
from edgeproof.runtime import modelfile
from edgeproof.runtime.contract import sha256

pytest.importorskip("tensorflow", reason="needs the train extra")
pytest.importorskip("tf2onnx", reason="needs the onnx extra")
pytest.importorskip("openvino", reason="needs the openvino extra")


@pytest.fixture(scope="module")
def reference(mean_colour, tiny_pictures):
    from edgeproof.convert.reference import Reference

    return Reference("mean_colour", mean_colour(), tiny_pictures.labels, {"keras_sha256": "0" * 64})


@pytest.fixture(scope="module")
def exported(reference, tiny_pictures, tmp_path_factory):
    """Export in both formats, held against Keras, or against answers that are given."""
    from edgeproof.convert import formats

    def run(outputs=None, folder=None):
        evidence = Evidence(tiny_pictures, reference.outputs(tiny_pictures) if outputs is None else outputs)
        folder = folder or tmp_path_factory.mktemp("formats")
        both = [formats.named("onnx"), formats.named("openvino")]
        return formats.export(both, reference, evidence, stem="mean", folder=folder, max_drop=1.0), folder

    return run


def test_both_formats_give_keras_answers_on_the_whole_test_set_and_say_so_themselves(exported):
    import openvino

    from edgeproof.runtime.contract import CONTRACT_NAME, decode

    results, folder = exported()
    assert [(each.file, each.recipe) for each in results] == [
        ("mean-float32.onnx", "onnx"),
        ("mean-float32.xml", "openvino"),
    ]
    assert all(each.accepted and each.verification.same_answers == 1 for each in results)
    assert sorted(path.name for path in folder.iterdir()) == [
        "mean-float32.bin",
        "mean-float32.onnx",
        "mean-float32.xml",
    ]
    pair = b"".join((folder / f"mean-float32{suffix}").read_bytes() for suffix in (".bin", ".xml"))
    assert (results[1].size_bytes, results[1].sha256) == (len(pair), sha256(pair))
    said = openvino.Core().read_model(folder / "mean-float32.xml").get_rt_info(["edgeproof", CONTRACT_NAME])
    contract = decode(said.astype(str).encode(), "xml")
    assert contract.verification == results[1].verification
    assert {"tf2onnx", "openvino", "edgeproof", "keras_sha256"} <= set(contract.provenance)


def test_a_format_that_drops_too_much_is_kept_as_rejected(exported, tiny_pictures):
    # A reference that is always right, which the model is not.
    results, folder = exported(np.eye(4, dtype=np.float32)[tiny_pictures.classes])
    assert [(each.file, each.accepted) for each in results] == [
        ("mean-float32.rejected.onnx", False),
        ("mean-float32.rejected.xml", False),
    ]
    assert len(list(folder.iterdir())) == 3


@pytest.fixture
def command(saved, colour_folder, tmp_path):
    """`edgeproof convert` on the model of the mean colour."""
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\ngrey\n")
    model = ("--keras", saved(), "--labels", tmp_path / "labels.txt", "--data", colour_folder)
    return ("convert", *model, "--recipe", "float32", "--calibration-images", 20, "--out", tmp_path / "out")


def test_the_command_writes_them_beside_the_others_and_tells_them_with_these(edgeproof, command, tmp_path, narrow):
    given = ("--also", "onnx", "--name", "colours", "--golden", "none", "--resample", "bicubic", "--fit", "crop")
    status, told, error = edgeproof(*command, *given)
    assert status == 0, error
    assert "colours-float32.onnx" in told
    steps = modelfile.read(tmp_path / "out" / "colours-float32.tflite").contract.preprocessing.steps
    assert (steps[0].resample, steps[0].fit) == ("bicubic", "crop")
    summary = msgspec.json.decode((tmp_path / "out" / "verification.json").read_bytes(), type=Summary)
    assert [each.recipe for each in summary.results] == ["float32", "onnx"]
    assert summary.results[1].verification.same_answers == 1


def test_an_unknown_format_and_the_search_and_a_missing_extra_are_refused_in_one_line(edgeproof, command, monkeypatch):
    status, _, error = edgeproof(*command, "--also", "coreml")
    assert (status, error) == (2, "edgeproof: --also coreml: unknown format. Known are onnx, openvino.\n")
    status, _, error = edgeproof("convert", *command[1:7], "--recipe", "auto", "--also", "onnx")
    assert (status, "--also goes with recipes that are named" in error) == (2, True)
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.delitem(sys.modules, "edgeproof.convert.onnx_file", raising=False)
    monkeypatch.delattr("edgeproof.convert.onnx_file", raising=False)
    status, _, error = edgeproof(*command, "--also", "onnx")
    assert (status, error) == (2, "edgeproof: This needs tf2onnx. Install it with: pip install 'edgeproof[onnx]'\n")
