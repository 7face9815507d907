"""What a project is filled with, and which files say too little for one."""

import io

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgeproof.deploy import facts
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.pixels import Preprocessing, Resize


def test_the_golden_examples_are_decoded_and_hashed(shipped):
    found = facts.facts(shipped)
    assert len(found.examples) == 16
    for example in found.examples:
        assert contracts.sha256(example.pixels.tobytes()) == example.sha256
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(example.ppm))), example.decoded)
    rows = [line.split() for line in found.table.splitlines()]
    assert [row[:3] for row in rows] == [[each.name, each.sha256, each.fnv1a] for each in found.examples]
    np.testing.assert_allclose(np.array([row[3:] for row in rows], float), shipped.examples.outputs, atol=1e-6)


def test_the_hash_is_fnv_1a_as_its_authors_define_it():
    assert facts.fnv1a(b"") == 0xCBF29CE484222325
    assert facts.fnv1a(b"foobar") == 0x85944171F73967E8


def test_a_picture_s_name_becomes_no_path(shipped, altered):
    golden = shipped.contract.golden
    first = msgspec.structs.replace(golden.examples[0], picture="golden/../../evil.sh")
    golden = msgspec.structs.replace(golden, examples=(first, *golden.examples[1:]))
    with pytest.raises(ModelError):  # the archive has no such file
        facts.facts(altered(shipped.content, golden=golden))


def test_a_name_holds_nothing_that_ends_a_comment(tiny_model_bytes, altered):
    found = facts.facts(altered(tiny_model_bytes, name="a */ b\nc", recipe=""))
    assert (found.name, found.recipe) == ("a----b-c", "model")


def test_a_contract_that_contradicts_itself_is_refused(tiny_model_bytes, tiny_int8_bytes, altered):
    with pytest.raises(ModelError, match="int16 tensor; projects are made for float32, uint8, int8"):
        facts.facts(altered(tiny_int8_bytes, input={"dtype": "int16"}))
    with pytest.raises(ModelError, match="a uint8 tensor a wrong scale"):
        facts.facts(altered(tiny_int8_bytes, output={"scale": None}))
    with pytest.raises(ModelError, match="a float32 tensor a wrong scale"):
        facts.facts(altered(tiny_model_bytes, input={"scale": 1.0, "zero_point": 0}))
    with pytest.raises(ModelError, match="two input sizes"):
        facts.facts(altered(tiny_model_bytes, preprocessing=Preprocessing(steps=(Resize(width=9, height=8),))))
    with pytest.raises(ModelError, match=r"\(1, 4\) outputs, but 3 labels"):
        facts.facts(altered(tiny_model_bytes, labels=("a", "b", "c")))
