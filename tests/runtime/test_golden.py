"""The table of expected outputs, and reading examples; choosing them is tests/convert/test_examples.py."""

import numpy as np
import pytest

from edgeproof import models
from edgeproof.runtime import ModelError, golden, modelfile

LABELS = ("red", "green, or so", "blue")


def test_outputs_come_back_from_their_table_to_six_decimals():
    outputs = np.random.default_rng(0).dirichlet(np.ones(3), 5).astype(np.float32)
    outputs[0] = [1.0, 0.0, 1e-7]
    content = golden.text([f"{i:02}.png" for i in range(5)], outputs, LABELS)
    assert content.splitlines()[0] == 'picture,red,"green, or so",blue'
    assert content.splitlines()[1] == "00.png,1,0,0"
    np.testing.assert_allclose(golden.parse(content, LABELS), outputs, atol=6e-7)


def test_a_table_of_other_labels_is_refused():
    content = golden.text(["00.png"], np.ones((1, 3), np.float32), LABELS)
    with pytest.raises(ValueError, match="its labels are not the file's"):
        golden.parse(content, ("green, or so", "red", "blue"))


def test_the_shipped_file_carries_pictures_and_their_outputs():
    found = golden.read(modelfile.read(models.path(models.CLASSIFIER)))
    assert len(found) == len(found.pictures) == 16
    assert found.outputs.shape == (16, 100)
    assert found.names[0] == "00.png"
    best = [found.labels[i] for i in found.outputs.argmax(axis=1)]
    assert best == [example.label for example in found.golden.examples]


def test_a_file_without_examples_is_refused(tiny_model_path):
    with pytest.raises(ModelError, match=r"holds no golden examples\. Export it again"):
        golden.read(modelfile.read(tiny_model_path))
