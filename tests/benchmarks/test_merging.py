import json

import pytest
from msgspec.structs import replace

from edgeproof.benchmarks import merging
from edgeproof.benchmarks import report as reports
from edgeproof.runtime import ConfigError, DataError


@pytest.fixture
def paths(make_report, tmp_path):
    """Reports of two machines, of which the second has two cores more and judged no answers."""
    report = make_report()
    machine = replace(report.environment, cpu="Other CPU", cores=6, usable_cores=4)
    files = tuple(replace(file, quality=None) for file in report.files)
    for name, each in (("a", report), ("b", replace(report, environment=machine, files=files))):
        reports.write(each, tmp_path / f"{name}.json")
    return [tmp_path / "a.json", tmp_path / "b.json"]


def test_each_file_stands_once_and_its_speed_for_each_machine(paths):
    merged = merging.merge(paths)
    assert [row[0] for row in merging.files(merged).rows] == ["tiny-float32.tflite", "tiny-int8.tflite"]
    assert [row[:3] for row in merging.speed(merged).rows[:4]] == [
        ("tiny-float32.tflite", "1", "A"),
        ("tiny-float32.tflite", "1", "B"),
        ("tiny-float32.tflite", "2", "A"),
        ("tiny-float32.tflite", "2", "B"),
    ]


def test_answers_are_told_by_the_machine_that_judged_them(paths):
    assert "90.0 % [76.9–96.0]" in merging.files(merging.merge(paths[::-1])).rows[0]


def test_two_files_of_one_name_are_told_apart(paths, make_report):
    other = replace(make_report().files[0], sha256="1" * 64)
    reports.write(make_report(files=(other,)), paths[1])
    names = [row[0] for row in merging.files(merging.merge(paths)).rows]
    assert names == ["tiny-float32.tflite (00000000)", "tiny-int8.tflite", "tiny-float32.tflite (11111111)"]


def test_one_machine_has_a_letter_and_a_column(paths):
    merged = merging.merge(paths)
    assert merging.letters(merged) == ("A", "B")
    rows = {row[0]: row[1:] for row in merging.machines(merged).rows}
    assert rows["CPU"] == ("Example CPU (x86_64)", "Other CPU (x86_64)")
    assert rows["Cores"] == ("2 usable of 4", "4 usable of 6")


def test_what_was_merged_can_be_merged_again(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "find_spec", lambda name: None)  # the page takes seconds
    merging.write(merging.merge(paths), tmp_path / "all")
    again = merging.merge([tmp_path / "all" / "report.json", paths[0]])
    assert [report.environment.cpu for report in again.reports] == ["Example CPU", "Other CPU", "Example CPU"]


def test_the_files_written_hold_every_machine(paths, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(merging, "find_spec", lambda name: None)
    merging.write(merging.merge(paths), tmp_path / "all")
    document = json.loads((tmp_path / "all" / "report.json").read_text(encoding="utf-8"))
    assert (document["schema"], len(document["reports"])) == (1, 2)
    text = (tmp_path / "all" / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Benchmark on 2 machines\n\nA is Example CPU; B is Other CPU.")
    assert "do not predict another's" in " ".join(text.split())
    assert "report.html was left out" in caplog.text


def test_no_report_and_what_is_none_are_refused(paths, tmp_path):
    with pytest.raises(ConfigError, match="No reports were given"):
        merging.merge([])
    (tmp_path / "c.json").write_text('{"reports": [{}]}')
    with pytest.raises(DataError, match=r"c\.json is no report of edgeproof"):
        merging.merge([tmp_path / "c.json"])
    with pytest.raises(DataError, match="cannot be read"):
        merging.merge([tmp_path / "absent.json"])
