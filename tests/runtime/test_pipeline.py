import io

import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime import Classifier
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pipeline import shipped


@pytest.fixture(params=["tiny_model_path", "tiny_int8_path"])
def classifier(request):
    return Classifier(request.getfixturevalue(request.param))


def files(count):
    noise = np.random.default_rng(0).integers(0, 256, (count, 9, 13, 4), np.uint8)
    for one in noise:
        content = io.BytesIO()
        Image.fromarray(one).save(content, "PNG")
        yield content.getvalue()


def test_the_shipped_pipeline_gives_what_the_classifier_gives(classifier):
    pictures = list(files(5))
    right = shipped(Runner(classifier.file.flatbuffer), classifier.preprocessing)
    pixels = np.stack([classifier.preprocessing.pixels(picture) for picture in pictures])
    np.testing.assert_array_equal(np.stack([right.pixels(picture) for picture in pictures]), pixels)
    np.testing.assert_array_equal(right.outputs(pictures), classifier.probabilities(pixels))
    assert len(np.unique(right.outputs(pictures), axis=0)) == 5


def test_the_pipeline_tells_the_tensors_of_its_runner(classifier):
    right = shipped(Runner(classifier.file.flatbuffer), classifier.preprocessing)
    assert (right.input, right.output) == (classifier.file.contract.input, classifier.file.contract.output)
