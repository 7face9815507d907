import json

import pytest

from edgeproof.benchmarks import report as reports
from edgeproof.runtime import DataError


def test_a_report_that_was_written_is_read_back_the_same(make_report, tmp_path):
    report = make_report()
    reports.write(report, tmp_path / "report.json")
    assert reports.read(tmp_path / "report.json") == report


def test_the_file_holds_the_schema_and_raw_samples(make_report, tmp_path):
    reports.write(make_report(), tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["schema"] == 2
    assert len(content["files"][0]["measurements"][0]["blocks"][0]["samples_ns"]) == 20


def test_a_report_of_a_later_schema_is_refused(make_report, tmp_path):
    path = tmp_path / "report.json"
    reports.write(make_report(schema=3), path)
    with pytest.raises(DataError, match=r"report schema 3; this edgeproof reads 2\. Update edgeproof"):
        reports.read(path)


def test_a_report_of_the_first_schema_is_still_read(make_report, tmp_path):
    path = tmp_path / "report.json"
    reports.write(make_report(schema=1), path)
    assert reports.read(path).files == make_report().files


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 1}', b'{"files": []}', b"\xff\xfe{}"])
def test_a_file_that_is_no_report_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no report of edgeproof") as told:
        reports.read(path)
    assert "\n" not in str(told.value)


def test_a_missing_report_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        reports.read(tmp_path / "report.json")


def test_the_numbers_of_threads_are_told_ascending(make_report):
    assert make_report().threads == (1, 2)
