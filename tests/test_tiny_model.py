"""The model that the other tests stand on must itself answer sensibly."""

import numpy as np
import pytest

from edgeproof.runtime import Classifier
from edgeproof.runtime.accuracy import top_k


@pytest.mark.parametrize("path", ["tiny_model_path", "tiny_int8_path"])
def test_the_tiny_model_tells_four_colours_apart(path, request, tiny_pictures):
    classifier = Classifier(request.getfixturevalue(path))
    probabilities = np.concatenate([classifier.probabilities(p) for p, _ in tiny_pictures.batches(16)])
    assert set(probabilities.argmax(axis=1)) == {0, 1, 2, 3}
    assert top_k(probabilities, tiny_pictures.classes, 1).correct == 36
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=0.02)


def test_batches_and_single_pictures_get_the_same_answers(tiny_model_path, tiny_pictures):
    classifier = Classifier(tiny_model_path)
    pixels = next(tiny_pictures.batches(8))[0]
    together = classifier.probabilities(pixels)
    alone = np.concatenate([classifier.probabilities(pixels[i : i + 1]) for i in range(8)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_flatbuffer_alone_runs_when_its_labels_and_range_are_given(tiny_flatbuffer, tmp_path):
    path = tmp_path / "foreign.tflite"
    path.write_bytes(tiny_flatbuffer)
    classifier = Classifier(path, labels=["red", "green", "blue", "grey"], input_range=(0, 255))
    green = np.full((8, 8, 3), (40, 200, 40), np.uint8)
    assert classifier.classify(green, top=1)[0].label == "green"
