import csv

from msgspec.structs import replace

from edgeproof.benchmarks import spreadsheet
from edgeproof.benchmarks.merging import Merged


def lines(*reports):
    return list(csv.DictReader(spreadsheet.table(Merged(reports=reports)).splitlines()))


def test_there_is_a_line_for_each_machine_file_and_number_of_threads(make_report):
    report = make_report()
    other = replace(report, environment=replace(report.environment, cpu="Other, with a comma"))
    found = lines(report, other)
    assert [(line["cpu"], line["file"], line["threads"]) for line in found[3:5]] == [
        ("Example CPU", "tiny-int8.tflite", "2"),
        ("Other, with a comma", "tiny-float32.tflite", "1"),
    ]
    assert len(found) == 8


def test_figures_are_plain_numbers_and_shares_0_to_1(make_report):
    first = lines(make_report())[0]
    assert float(first["p50_ms"]) == 4.0
    assert (first["size_bytes"], first["images"], first["top1"], first["steady"]) == ("4000000", "40", "0.9", "1")
    assert float(first["top1_low"]) < 0.9 < float(first["top1_high"])
    assert float(first["cold_start_ms"]) == 150 + 40 + 8


def test_what_was_not_measured_is_empty(make_report):
    first = lines(make_report(judged=False))[0]
    assert (first["images"], first["top1"], first["drop_points"], first["same_answers"]) == ("", "", "", "")
