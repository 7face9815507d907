import pytest

from edgeproof.benchmarks.confusion import confusion, mistakes
from edgeproof.benchmarks.quality import Quality

LABELS = ("cat", "dog", "fox")
QUALITY = Quality(images=12, top1_correct=6, top5_correct=12, ties=0, confusion=((1, 3, 0), (0, 4, 0), (2, 1, 1)))


def test_mistakes_are_told_most_frequent_first():
    assert mistakes(LABELS, QUALITY) == (("cat", "dog", 3), ("fox", "cat", 2), ("fox", "dog", 1))


def test_right_answers_are_no_mistakes():
    perfect = Quality(images=2, top1_correct=2, top5_correct=2, ties=0, confusion=((1, 0), (0, 1)))
    assert mistakes(("cat", "dog"), perfect) == ()


@pytest.mark.parametrize("classes", [2, 100])
def test_few_and_many_classes_can_be_drawn(make_report, classes):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    figure = confusion(make_report(classes=classes).files[0])
    assert f"{classes} classes" in figure.alt
    assert len(figure.png) < 200_000


def test_a_file_that_was_not_judged_has_no_matrix(make_report):
    with pytest.raises(ValueError, match="Expected a file with quality"):
        confusion(make_report(judged=False).files[0])
