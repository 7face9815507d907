import numpy as np
import pytest

from edgeproof.train import evaluation

LABELS = ("cat", "dog", "emu")
GENERATOR = np.random.default_rng(4)
CLASSES = GENERATOR.integers(0, 3, 60)
OUTPUTS = GENERATOR.dirichlet([1, 1, 1], 60).astype(np.float32)


def brute_confusion(outputs, classes, count):
    matrix = np.zeros((count, count), int)
    for row, true in zip(outputs, classes, strict=True):
        matrix[true, row.tolist().index(max(row.tolist()))] += 1
    return matrix


def test_the_confusion_matrix_counts_answers_by_true_class():
    np.testing.assert_array_equal(evaluation.confusion(OUTPUTS, CLASSES), brute_confusion(OUTPUTS, CLASSES, 3))


def test_the_confusion_matrix_has_rows_for_classes_that_never_appear():
    outputs = np.eye(4, dtype=np.float32)[[1, 1]]
    assert evaluation.confusion(outputs, np.array([1, 2])).tolist() == [[0] * 4, [0, 1, 0, 0], [0, 1, 0, 0], [0] * 4]


def test_all_scores_agree_with_counting_by_hand():
    pytest.importorskip("sklearn", reason="needs the train extra")
    found = evaluation.evaluate(OUTPUTS, CLASSES, LABELS)
    matrix = brute_confusion(OUTPUTS, CLASSES, 3)
    assert found.images == 60
    assert found.top1 == pytest.approx(np.trace(matrix) / 60)
    assert found.top5 == 1
    assert found.top1_interval[0] < found.top1 < found.top1_interval[1]
    assert found.loss == pytest.approx(-np.log(OUTPUTS[np.arange(60), CLASSES].astype(float)).mean(), rel=1e-5)
    for number, score in enumerate(found.classes):
        right, answered, support = matrix[number, number], matrix[:, number].sum(), matrix[number].sum()
        assert score.label == LABELS[number]
        assert score.precision == pytest.approx(right / answered)
        assert score.recall == pytest.approx(right / support)
        assert score.f1 == pytest.approx(2 * right / (answered + support))
        assert score.support == support


def test_a_class_that_is_never_answered_scores_zero_without_a_warning():
    pytest.importorskip("sklearn", reason="needs the train extra")
    outputs = np.tile(np.array([[0.6, 0.3, 0.1]], np.float32), (3, 1))
    emu = evaluation.evaluate(outputs, np.array([0, 1, 2]), LABELS).classes[2]
    assert (emu.precision, emu.recall, emu.f1, emu.support) == (0, 0, 0, 1)


def test_a_sure_and_wrong_answer_costs_a_finite_loss():
    pytest.importorskip("sklearn", reason="needs the train extra")
    loss = evaluation.evaluate(np.eye(3, dtype=np.float32)[[0]], np.array([1]), LABELS).loss
    assert 20 < loss < 30


def test_top5_is_counted_among_more_than_five_classes():
    pytest.importorskip("sklearn", reason="needs the train extra")
    outputs = np.tile(np.linspace(1, 0.1, 7, dtype=np.float32), (7, 1))
    found = evaluation.evaluate(outputs, np.arange(7), tuple("abcdefg"))
    assert (found.top1, found.top5) == (pytest.approx(1 / 7), pytest.approx(5 / 7))


def test_confused_pairs_are_ordered_by_their_number_and_never_name_a_right_answer():
    matrix = np.array([[50, 3, 0], [7, 40, 1], [0, 3, 9]])
    pairs = evaluation.most_confused(matrix, LABELS)
    assert [(pair.true, pair.predicted, pair.count) for pair in pairs] == [
        ("dog", "cat", 7),
        ("cat", "dog", 3),
        ("emu", "dog", 3),
        ("dog", "emu", 1),
    ]
    assert len(evaluation.most_confused(matrix, LABELS, top=2)) == 2
    assert matrix[0, 0] == 50


def test_a_model_that_is_always_right_confuses_nothing():
    assert evaluation.most_confused(np.diag([3, 4, 5]), LABELS) == ()
