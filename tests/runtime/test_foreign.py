"""What is said of other tools' files reaches those, and never a file with a contract."""

import pytest

from edgeproof.runtime import ModelError
from edgeproof.runtime.foreign import Foreign, opened

SAID = Foreign(labels=("a", "b", "c", "d"), input_range=(0.0, 255.0))


def test_a_file_without_a_contract_takes_what_is_said(tiny_flatbuffer, tmp_path):
    path = tmp_path / "foreign.tflite"
    path.write_bytes(tiny_flatbuffer)
    assert opened(path, SAID, num_threads=1).labels == ("a", "b", "c", "d")
    with pytest.raises(ModelError, match="Give --labels"):
        opened(path, Foreign(), num_threads=1)


def test_a_file_with_a_contract_keeps_its_own(tiny_model_path):
    classifier = opened(tiny_model_path, SAID, num_threads=1)
    assert classifier.labels == ("red", "green", "blue", "grey")
    assert SAID.of(classifier.file) == Foreign()
