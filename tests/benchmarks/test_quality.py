from dataclasses import replace

import numpy as np
import pytest

from edgeproof.benchmarks.quality import batches, quality
from edgeproof.runtime import Classifier, DataError
from edgeproof.runtime.pixels import Preprocessing, Resize


def test_right_answers_are_counted_and_wrong_ones_lie_off_the_diagonal(tiny_model_path, tiny_pictures):
    found = quality(Classifier(tiny_model_path), tiny_pictures)
    assert (found.images, found.top1_correct, found.top5_correct, found.ties) == (40, 36, 40, 0)
    # The last picture of every colour bears the next colour's label.
    wrong = np.array(found.confusion) - 9 * np.eye(4, dtype=int)
    np.testing.assert_array_equal(wrong, np.roll(np.eye(4, dtype=int), 1, axis=0))
    assert found.top1.interval()[0] < 0.9 < found.top1.interval()[1]


def test_ties_are_counted(tiny_int8_path, tiny_pictures):
    # Red and green alike: no best class.
    yellow = np.full_like(tiny_pictures.stored, 0)
    yellow[..., :2] = 200
    assert quality(Classifier(tiny_int8_path), replace(tiny_pictures, stored=yellow)).ties == 40


def test_data_of_another_number_of_labels_are_refused(tiny_model_path, tiny_pictures):
    other = replace(tiny_pictures, labels=("red", "green"))
    with pytest.raises(DataError, match="knows 4 labels, the data have 2"):
        quality(Classifier(tiny_model_path), other)


def test_labels_in_another_order_are_refused_by_name(tiny_model_path, tiny_pictures):
    other = replace(tiny_pictures, labels=("red", "blue", "green", "grey"))
    with pytest.raises(DataError, match="label 2 is 'green', in the data it is 'blue'"):
        quality(Classifier(tiny_model_path), other)


def test_a_model_sees_its_own_preprocessing_whatever_the_data_were_read_with(tiny_model_path, tiny_pictures):
    classifier = Classifier(tiny_model_path)
    read = replace(tiny_pictures, preprocessing=Preprocessing(steps=(Resize(width=4, height=4),)))
    own = np.concatenate([pixels for pixels, _ in batches(classifier, read)])
    expected = classifier.preprocessing.finished(tiny_pictures.stored)
    np.testing.assert_array_equal(own, expected)
    assert quality(classifier, read) == quality(classifier, tiny_pictures)
