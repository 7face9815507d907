import msgspec
import pytest

from edgeproof.benchmarks import confusion
from edgeproof.benchmarks.confusion import mistakes, worst, worst_table
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
    figure = confusion.confusion(make_report(classes=classes).files[0])
    assert f"{classes} classes" in figure.alt
    assert "90.0% of the pictures" in figure.alt
    assert len(figure.image) < 150_000


def test_a_file_that_was_not_judged_has_no_matrix(make_report):
    with pytest.raises(ValueError, match="Expected a file with quality"):
        confusion.confusion(make_report(judged=False).files[0])


def test_the_change_is_told_against_the_float32_file_alone(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    report = make_report()
    captions = [figure.caption for figure in confusion.matrices(report)]
    assert captions[0].startswith("Confusion matrix of tiny-float32")
    assert captions[1].startswith("Confusion matrix of tiny-int8")
    assert "tiny-int8.tflite answers otherwise than tiny-float32.tflite: 12 right answers fewer in all" in captions[2]
    assert "class 0 taken for class 1 3×" in captions[2]
    assert len(confusion.matrices(make_report(files=report.files[1:]))) == 1


def test_a_report_without_accuracy_has_no_matrices(make_report):
    assert confusion.matrices(make_report(judged=False)) == ()


def test_the_worst_classes_come_worst_first_and_perfect_ones_not_at_all(make_report):
    file = make_report(classes=3).files[0]
    rows = ((1, 3, 0), (0, 4, 0), (2, 0, 2))
    judged = msgspec.structs.replace(file, labels=LABELS, quality=msgspec.structs.replace(file.quality, confusion=rows))
    assert worst(judged) == (0, 2)
    table = worst_table(make_report(files=(judged,)))
    assert [row[1:3] + row[4:] for row in table.rows] == [("cat", "4", "dog, 3×"), ("fox", "4", "cat, 2×")]
    assert table.rows[0][3] == "25 % [5–70]"


def test_small_matrices_carry_their_counts(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    few, many = (confusion.confusion(make_report(classes=n).files[0]).image for n in (12, 13))
    assert few.count(b'<g id="text_') > many.count(b'<g id="text_') + 20
