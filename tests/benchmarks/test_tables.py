import msgspec
import pytest

from edgeproof.benchmarks import tables
from edgeproof.runtime import modelfile
from edgeproof.runtime.accuracy import Accuracy


def row_of(table, index=0):
    return dict(zip(table.header, table.rows[index], strict=True))


def test_there_is_a_row_a_file_and_a_row_a_file_and_threads(make_report):
    report = make_report()
    assert len(tables.files(report).rows) == 2
    assert [row[:2] for row in tables.speed(report).rows] == [
        ("tiny-float32.tflite", "1"),
        ("tiny-float32.tflite", "2"),
        ("tiny-int8.tflite", "1"),
        ("tiny-int8.tflite", "2"),
    ]


def test_accuracy_comes_with_its_interval(make_report):
    assert row_of(tables.files(make_report()))["Top-1 [95 %]"] == "90.0 % [76.9–96.0]"


def test_top5_of_few_classes_is_not_told(make_report):
    assert row_of(tables.files(make_report(classes=5)))["Top-5"] == "–"
    assert row_of(tables.files(make_report(classes=6)))["Top-5"] == "90.0 %"


def test_what_was_not_measured_is_a_dash(make_report):
    row = row_of(tables.files(make_report(judged=False)))
    assert (row["Top-1 [95 %]"], row["Ties"], row["Drop vs Keras"]) == ("–", "–", "–")


def test_drop_and_agreement_are_the_file_s_own(make_report, tiny_int8_path):
    report = make_report()
    verification = modelfile.read(tiny_int8_path).contract.verification
    file = msgspec.structs.replace(report.files[0], verification=verification)
    row = row_of(tables.files(msgspec.structs.replace(report, files=(file,))))
    assert (row["Drop vs Keras"], row["Same as Keras"]) == ("1.00 points", "98.5 %")


def test_a_drop_that_rounds_to_nothing_has_no_minus(make_report, tiny_int8_path):
    verification = modelfile.read(tiny_int8_path).contract.verification
    tiny = msgspec.structs.replace(verification, drop_points=-0.001)
    report = make_report()
    file = msgspec.structs.replace(report.files[0], verification=tiny)
    assert row_of(tables.files(msgspec.structs.replace(report, files=(file,))))["Drop vs Keras"] == "0.00 points"


def test_speed_is_told_from_the_samples(make_report):
    row = row_of(tables.speed(make_report()))
    assert (row["p50 ms"], row["First answer ms"], row["Peak MiB"], row["Steady"]) == (
        "4.00",
        "8.00",
        "60",
        "yes",
    )


@pytest.mark.parametrize(("value", "text"), [(0.01234, "0.0123"), (1.5, "1.50"), (99.96, "100"), (1234.5, "1234")])
def test_numbers_have_three_digits(value, text):
    assert tables.three_digits(value) == text


def test_sizes_have_a_fitting_unit():
    assert (tables.mb(2_345), tables.mb(3_450_000)) == ("2.3 kB", "3.45 MB")


def test_an_interval_is_in_percent():
    assert tables.percent_with_interval(Accuracy(1, 2)) == "50.0 % [9.5–90.5]"


def test_the_machine_says_what_its_system_does_not_tell(make_report):
    facts = dict(tables.machine(make_report().environment).rows)
    assert facts["Cores"] == "2 usable of 4"
    assert facts["Frequency governor"] == "not told by the system"
