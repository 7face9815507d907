"""What is known of a file before a page or a project is made of it."""

import pytest

from edgeproof import models
from edgeproof.deploy import subject
from edgeproof.runtime.errors import ModelError

SHIPPED = models.path(models.CLASSIFIER)


def test_the_shipped_file_says_all_that_a_client_needs():
    found = subject.read(SHIPPED)
    assert len(found.labels) == 100
    assert found.contract.preprocessing.input_size == (96, 96)
    assert found.content == SHIPPED.read_bytes()
    assert found.examples is not None
    assert len(found.examples) == len(found.contract.golden.examples)


def test_a_file_of_another_tool_is_refused_with_what_to_do(tiny_flatbuffer, tmp_path):
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(tiny_flatbuffer)
    with pytest.raises(ModelError, match=r"bare\.tflite carries no contract.*Export it with edgeproof"):
        subject.read(bare)
