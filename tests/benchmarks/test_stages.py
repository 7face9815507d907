import numpy as np
import pytest

from edgeproof.benchmarks import stages
from edgeproof.runtime import Classifier, DataError
from edgeproof.runtime.interpreter import Runner


def test_every_stage_of_every_file_is_timed_and_all_of_them_together(tiny_model_path, golden_picture):
    classifier = Classifier(tiny_model_path)
    found = stages.timed(classifier, Runner(classifier.file.flatbuffer), [golden_picture] * 3)
    rows = np.array(
        [found.decode_ns, found.resize_ns, found.enter_ns, found.invoke_ns, found.top_ns, found.together_ns]
    )
    assert rows.shape == (6, 3)
    assert (rows > 0).all()


def test_a_file_that_is_no_picture_is_refused(tiny_model_path):
    classifier = Classifier(tiny_model_path)
    with pytest.raises(DataError):
        stages.timed(classifier, Runner(classifier.file.flatbuffer), [b"no picture"])
