import csv
import io

import msgspec
import numpy as np
import pytest

from edgeproof.runtime import evaluation
from edgeproof.runtime.accuracy import Accuracy
from edgeproof.runtime.contract import digest
from edgeproof.runtime.evaluation import Evaluation


@pytest.fixture
def five(tiny_pictures):
    """Five pictures of the classes 0, 1, 2, 3, 3."""
    return tiny_pictures.take([0, 10, 20, 30, 31])


def rows(*answers, sure=0.7):
    outputs = np.full((len(answers), 4), (1 - sure) / 3, np.float32)
    outputs[np.arange(len(answers)), answers] = sure
    return outputs


def test_answers_are_judged_as_by_hand(five):
    found = evaluation.evaluate(rows(0, 1, 0, 3, 0), five, model="m")  # three right; 2 as 0, 3 as 0 once
    assert (found.model, found.images, found.images_digest) == ("m", 5, digest(five.hashes))
    assert (found.top1, found.top5, found.ties) == (pytest.approx(0.6), 1.0, 0)
    assert found.top1_interval == Accuracy(3, 5).interval()
    assert found.top5_interval == Accuracy(5, 5).interval()
    assert found.expected_calibration_error == pytest.approx(0.1)  # 70 % sure, 60 % right
    assert found.never_answered == ("blue",)
    red, green, blue, grey = found.classes
    assert (red.images, red.correct, red.top1, red.answered, red.taken_for) == (1, 1, 1.0, 3, None)
    assert (blue.top1, blue.taken_for, blue.taken_for_times) == (0.0, "red", 1)
    assert (grey.images, grey.correct, grey.top1_interval) == (2, 1, Accuracy(1, 2).interval())
    assert green.answered == 1


def test_a_tie_counts_three_ways(five):
    outputs = rows(0, 1, 2, 3, 3)
    outputs[0] = [0.4, 0.4, 0.1, 0.1]
    found = evaluation.evaluate(outputs, five, model="m")
    assert found.ties == 1
    ways = (found.strict_top1, found.expected_top1, found.optimistic_top1)
    assert ways == pytest.approx((0.8, 0.9, 1.0))


def test_a_class_without_pictures_has_no_share_and_is_not_among_the_worst(five):
    found = evaluation.evaluate(rows(0, 1, 2), five.take([0, 1, 2]), model="m")
    assert found.classes[3].top1 is None
    assert [each.label for each in evaluation.worst(found)] == ["blue", "green", "red"]
    assert found.never_answered == ()


def test_the_worst_classes_come_first(five):
    found = evaluation.evaluate(rows(0, 1, 0, 3, 0), five, model="m")
    assert [each.label for each in evaluation.worst(found, 2)] == ["blue", "grey"]


def test_answers_that_are_no_numbers_are_wrong_and_surprise_nothing_else(five):
    found = evaluation.evaluate(np.full((5, 4), np.nan, np.float32), five, model="m")
    assert (found.top1, found.optimistic_top1, found.expected_calibration_error) == (0, 0, 0)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Evaluation) == found


def test_a_file_is_run_and_judged_without_anything_but_the_runtime(tiny_model_path, tiny_pictures):
    found = evaluation.evaluate_file(tiny_model_path, tiny_pictures)
    assert (found.model, found.top1) == ("tiny-float32.tflite", pytest.approx(0.9))  # one in ten bears a wrong label


def test_the_table_holds_every_class(five):
    found = evaluation.evaluate(rows(0, 1, 0, 3, 0), five, model="m")
    read = list(csv.DictReader(io.StringIO(evaluation.table(found))))
    assert [row["label"] for row in read] == list(five.labels)
    assert (read[2]["top1"], read[2]["taken_for"], read[3]["correct"]) == ("0.000000", "red", "1")
