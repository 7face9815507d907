import hashlib
import json

import msgspec
import pytest

from edgeproof.runtime import ModelError, contract, modelfile


@pytest.fixture
def written(tiny_int8_path):
    """A contract with all of its parts, as it stands in a file."""
    return modelfile.read(tiny_int8_path).contract


def changed(written, **parts):
    content = json.loads(contract.encode(written)) | parts
    return json.dumps({key: value for key, value in content.items() if value is not ...}).encode()


def test_what_is_encoded_is_decoded_again(written):
    assert contract.decode(contract.encode(written), "here") == written
    assert written.verification is not None


def test_the_same_contract_gives_the_same_bytes(written):
    assert contract.encode(written) == contract.encode(msgspec.structs.replace(written))


def test_a_contract_is_json_that_people_can_read(written):
    text = contract.encode(written).decode()
    assert text.startswith("{\n")
    assert json.loads(text)["format"] == contract.FORMAT


@pytest.mark.parametrize(
    ("number", "remedy"), [(2, "Update edgeproof"), (999, "Update edgeproof"), (0, "Export the model again")]
)
def test_an_unknown_format_number_is_refused_and_the_remedy_fits(written, number, remedy):
    message = rf"x\.tflite: contract format {number}; this edgeproof reads format 1\. {remedy}\."
    with pytest.raises(ModelError, match=message):
        contract.decode(changed(written, format=number), "x.tflite")


def test_the_format_number_is_judged_before_the_parts_are():
    with pytest.raises(ModelError, match="contract format 2"):
        contract.decode(b'{"format": 2, "everything": "else"}', "x.tflite")


def test_a_part_that_this_version_does_not_know_is_passed_over(written):
    assert contract.decode(changed(written, note="from a later version"), "x") == written


def test_a_calibration_of_an_earlier_version_says_nothing_of_movement(written):
    calibration = {"images": 300, "classes": 10, "seed": 0, "digest": "0" * 64, "estimator": "min-max"}
    found = contract.decode(changed(written, calibration=calibration), "x").calibration
    assert (found.images, found.estimator, found.movement) == (300, "min-max", None)


@pytest.mark.parametrize("part", ["labels_sha256", "model_sha256", "preprocessing", "input", "format"])
def test_a_missing_part_is_named(written, part):
    with pytest.raises(ModelError, match=rf"x\.tflite: its edgeproof\.json is damaged \(.*{part}"):
        contract.decode(changed(written, **{part: ...}), "x.tflite")


@pytest.mark.parametrize(
    "parts",
    [
        {"format": "1"},
        {"format": 10**30},
        {"labels_sha256": None},
        {"preprocessing": {"steps": []}},
        {"preprocessing": {"steps": [{"width": 0, "height": 4}]}},
        {"preprocessing": {"steps": [{"width": 4, "height": 4, "resample": "magic"}]}},
        {"preprocessing": {"steps": [{"width": 4, "height": 4}], "color": "BGR"}},
    ],
)
def test_a_part_of_the_wrong_kind_is_refused(written, parts):
    with pytest.raises(ModelError, match=r"edgeproof\.json is damaged|contract format"):
        contract.decode(changed(written, **parts), "x.tflite")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format": 1, "name": "\xff"}',
        b'{"format":1,"a":' + b"[" * 10**6,
    ],
    ids=["empty", "open", "list", "null", "no text", "no utf-8", "very deep"],
)
def test_what_is_no_contract_is_refused(content):
    with pytest.raises(ModelError, match=r"x\.tflite: its edgeproof\.json is damaged .+ Export the model again"):
        contract.decode(content, "x.tflite")


def test_contracts_cannot_be_changed(written):
    with pytest.raises(AttributeError):
        written.model_sha256 = "0"


def test_a_digest_does_not_depend_on_the_order_but_on_every_hash():
    assert contract.digest(["b", "a"]) == contract.digest(iter(["a", "b"]))
    assert contract.digest(["a", "b"]) != contract.digest(["a", "b", "b"])
    assert contract.digest(["a", "b"]) != contract.digest(["ab"])


def test_sha256_is_the_hexadecimal_one():
    assert contract.sha256(b"abc") == hashlib.sha256(b"abc").hexdigest()
