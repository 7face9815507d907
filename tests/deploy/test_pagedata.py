"""What the page's scripts read: every constant comes from the file."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edgeproof import models
from edgeproof.deploy import pagedata, subject
from edgeproof.runtime import contract, modelfile
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.pixels import Preprocessing, Resize

SHIPPED = models.path(models.CLASSIFIER)


@pytest.fixture(scope="module")
def shipped():
    return subject.read(SHIPPED)


@pytest.fixture
def tiny(tiny_int8_path):
    return subject.read(tiny_int8_path)


def changed(given, **parts):
    """The subject with another contract, as if it had been exported so."""
    return replace(given, contract=msgspec.structs.replace(given.contract, **parts))


def document(given):
    return msgspec.json.decode(msgspec.json.encode(pagedata.described(given)))


def test_the_shipped_file_is_described_whole(shipped):
    found = document(shipped)
    assert found["file"] == {
        "name": "model.tflite",
        "size_bytes": SHIPPED.stat().st_size,
        "sha256": contract.sha256(SHIPPED.read_bytes()),
    }
    assert found["labels"] == list(shipped.labels)
    assert [(each["width"], each["resample"]) for each in found["preprocessing"]["steps"]] == [
        (32, "bilinear"),
        (96, "bilinear"),
    ]
    assert found["input"] == {
        **{"shape": [1, 96, 96, 3], "dtype": "uint8", "scale": 1.0, "zero_point": 0, "range": [0.0, 255.0]},
    }
    assert found["verification"]["top1"] == shipped.contract.verification.top1
    assert found["golden"]["tolerance"] == shipped.contract.golden.tolerance
    assert [each["label"] for each in found["golden"]["examples"]] == [
        each.label for each in shipped.contract.golden.examples
    ]
    assert np.allclose([each["expected"] for each in found["golden"]["examples"]], shipped.examples.outputs, atol=1e-6)
    assert [each["file"] for each in found["samples"]] == [each["picture"] for each in found["golden"]["examples"]]


def test_a_change_of_any_constant_changes_what_the_page_reads(tiny):
    before = document(tiny)
    chain = Preprocessing(steps=(Resize(width=5, height=7, resample="lanczos", fit="crop"),), background=(1, 2, 3))
    output = msgspec.structs.replace(tiny.contract.output, zero_point=9, scale=0.5)
    taken = msgspec.structs.replace(tiny.contract.input, zero_point=3, scale=2.0, shape=(1, 7, 5, 3))
    after = document(
        replace(changed(tiny, preprocessing=chain, output=output, input=taken), labels=("a", "b", "c", "d"))
    )
    assert after["preprocessing"]["steps"] == [{"width": 5, "height": 7, "resample": "lanczos", "fit": "crop"}]
    assert after["preprocessing"]["background"] == [1, 2, 3]
    assert (after["output"]["zero_point"], after["output"]["scale"]) == (9, 0.5)
    assert (after["input"]["zero_point"], after["input"]["scale"], after["input"]["shape"]) == (3, 2.0, [1, 7, 5, 3])
    assert after["labels"] == ["a", "b", "c", "d"]
    same = {"name", "recipe", "file", "verification", "golden", "samples"}
    assert {key for key in before if before[key] == after[key]} == same


def test_a_file_without_golden_examples_has_no_samples(tiny):
    found = pagedata.described(tiny)
    assert found.golden is None
    assert found.samples == ()


@pytest.mark.parametrize(
    ("part", "message"), [("input", "takes int8.*--input uint8"), ("output", "gives int8.*--output float32 or uint8")]
)
def test_a_file_with_int8_tensors_is_refused_with_what_to_do(tiny, part, message):
    tensor = msgspec.structs.replace(getattr(tiny.contract, part), dtype="int8")
    with pytest.raises(ModelError, match=message):
        pagedata.described(changed(tiny, **{part: tensor}))


def test_a_file_for_batches_of_any_size_is_refused(tiny_flatbuffer, make_packed, tmp_path):
    graph = Graph.read(tiny_flatbuffer)
    graph.tensors[graph.inputs[0]].shapeSignature = np.array([-1, 8, 8, 3], np.int32)
    path = tmp_path / "open.tflite"
    path.write_bytes(make_packed(graph.packed(), quantised=False))
    with pytest.raises(ModelError, match="batches of any size"):
        pagedata.described(subject.read(path))


def test_the_facts_tell_the_accuracy_with_its_interval(tiny):
    facts = dict(pagedata.facts(tiny, pagedata.described(tiny)))
    accuracy = facts["Verified accuracy"].replace(pagedata.SPACE, " ")
    assert accuracy.startswith("94.0 % of 200 test pictures right (95 % interval 89.8 % to 96.5 %)")
    assert facts["Preprocessing"].startswith("RGB, stretched to 4×4 (bilinear) → stretched to 8×8 (bilinear)")
    assert facts["Output"] == "uint8, 1×4, scale 0.00390625, zero point 0"


def test_a_file_that_was_not_verified_says_so(tiny_model_path):
    read = subject.read(tiny_model_path)
    assert dict(pagedata.facts(read, pagedata.described(read)))["Verified accuracy"].startswith("not verified")


def test_a_name_inside_the_file_cannot_lead_out_of_the_folder(shipped, tmp_path):
    golden = shipped.contract.golden
    sly = msgspec.structs.replace(golden.examples[0], picture="../../evil.sh")
    attachments = {**shipped.file.attachments, "../../evil.sh": shipped.file.attachments[golden.examples[0].picture]}
    moved = msgspec.structs.replace(golden, examples=(sly, *golden.examples[1:]))
    described = msgspec.structs.replace(shipped.contract, golden=moved)
    path = tmp_path / "sly.tflite"
    attachments[contract.CONTRACT_NAME] = contract.encode(described)
    path.write_bytes(modelfile.pack(shipped.file.flatbuffer, attachments))
    found = pagedata.described(subject.read(path))
    assert found.golden.examples[0].picture == "golden/00.img"
