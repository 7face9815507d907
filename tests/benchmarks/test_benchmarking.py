import json
import logging
from dataclasses import replace

import msgspec
import pytest

from edgeproof.benchmarks import benchmarking
from edgeproof.benchmarks import report as reports
from edgeproof.benchmarks.benchmarking import benchmark, short_names, write
from edgeproof.runtime import ConfigError, DataError, ModelError


@pytest.fixture
def instant(monkeypatch, make_block):
    """Keep the jobs and measure nothing: for tests of what is asked and written."""
    jobs = []

    def fake(job):
        jobs.append(job)
        return make_block(1.0)

    monkeypatch.setattr("edgeproof.benchmarks.measure.run_block", fake)
    return jobs


def test_two_files_become_a_report_of_raw_samples_and_accuracy(
    tiny_model_path, tiny_int8_path, tiny_pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr(benchmarking, "QUICK", replace(benchmarking.QUICK, rounds=2))
    out = tmp_path / "report"
    models = [tiny_model_path, tiny_int8_path]
    report = benchmark(models, out=out, pictures=tiny_pictures, data_name="colours", threads=[1], quick=True)
    assert [file.name for file in report.files] == ["tiny-float32.tflite", "tiny-int8.tflite"]
    assert [file.recipe for file in report.files] == ["float32", "int8"]
    assert [file.quality.top1_correct for file in report.files] == [36, 36]
    assert [len(m.samples_ns) for file in report.files for m in file.measurements] == [40, 40]
    assert report.files[1].verification.drop_points == 1.0
    assert reports.read(out / "report.json") == report
    assert "90.0 % [76.9–96.0]" in (out / "report.md").read_text(encoding="utf-8")


def test_without_pictures_the_report_says_synthetic_and_judges_nothing(instant, tiny_model_path, tmp_path):
    report = benchmark([tiny_model_path], out=tmp_path, pictures=None, data_name="none", quick=True)
    assert report.synthetic_pictures
    assert report.files[0].quality is None
    assert "synthetic pictures" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_every_file_is_measured_at_every_number_of_threads(instant, tiny_model_path, tiny_int8_path, tmp_path):
    models = [tiny_model_path, tiny_int8_path]
    report = benchmark(models, out=tmp_path, pictures=None, data_name="", threads=[2, 1, 1], quick=True)
    assert [job.threads for job in instant] == [1, 2, 1, 2, 2, 1, 2, 1] * 2
    assert [m.threads for file in report.files for m in file.measurements] == [1, 2, 1, 2]


def test_what_the_user_says_goes_to_files_without_a_contract_alone(instant, tiny_model_path, tiny_flatbuffer, tmp_path):
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(tiny_flatbuffer)
    report = benchmark(
        [tiny_model_path, foreign],
        out=tmp_path,
        pictures=None,
        data_name="",
        threads=[1],
        labels=["a", "b", "c", "d"],
        input_range=(0.0, 255.0),
        quick=True,
    )
    assert [job.labels for job in instant[:2]] == [None, ("a", "b", "c", "d")]
    assert report.files[0].labels[0] == "red"
    assert report.files[1].labels[0] == "a"
    assert report.files[1].recipe == "unknown"
    assert "channels in the order RGB" in report.files[1].assumptions


def test_unfit_pictures_are_refused_before_anything_is_measured(instant, tiny_model_path, tiny_pictures, tmp_path):
    empty = tiny_pictures.take([])
    with pytest.raises(DataError, match="colours holds no pictures"):
        benchmark([tiny_model_path], out=tmp_path, pictures=empty, data_name="colours")
    assert instant == []


@pytest.mark.parametrize("threads", [[], [0], [-1, 2]])
def test_impossible_threads_are_refused(threads, tiny_model_path, tmp_path):
    with pytest.raises(ConfigError, match="at least 1"):
        benchmark([tiny_model_path], out=tmp_path, pictures=None, data_name="", threads=threads)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        benchmark([tmp_path / "absent.tflite"], out=tmp_path, pictures=None, data_name="")


def test_a_place_that_cannot_be_written_is_refused_first(instant, tiny_model_path, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match="is no folder that can be written"):
        benchmark([tiny_model_path], out=tmp_path / "taken", pictures=None, data_name="")
    assert instant == []


def test_without_the_report_extra_the_page_alone_is_left_out(make_report, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(benchmarking, "find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        write(make_report(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.md"}
    assert "report.html was left out: jinja2 and matplotlib not found" in caplog.text


def test_with_the_report_extra_there_is_a_page(make_report, tmp_path):
    pytest.importorskip("jinja2", reason="needs the report extra")
    pytest.importorskip("matplotlib", reason="needs the report extra")
    write(make_report(), tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    paths = [tmp_path / "old" / "model.tflite", tmp_path / "new" / "model.tflite"]
    assert short_names(paths) == ("old/model.tflite", "new/model.tflite")
    assert short_names(paths[:1]) == ("model.tflite",)


def test_no_files_and_a_repeated_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="No model files"):
        short_names([])
    with pytest.raises(ConfigError, match="given twice"):
        short_names([tmp_path / "a.tflite", tmp_path / "a.tflite"])


def test_a_report_names_no_folder_of_this_machine(instant, tiny_model_path, tmp_path):
    report = benchmark([tiny_model_path], out=tmp_path, pictures=None, data_name="", quick=True)
    assert str(tmp_path) not in json.dumps(msgspec.to_builtins(report))


def test_options_reach_the_jobs(instant, tiny_model_path, tmp_path):
    benchmark([tiny_model_path], out=tmp_path, pictures=None, data_name="", threads=[1], quick=True, paced_ms=5.0)
    assert {job.paced_ms for job in instant} == {5.0}
    assert {job.batches for job in instant} == {(1, 8, 32)}
    assert {len(job.files) for job in instant} == {16}


@pytest.mark.parametrize("pace", [0.0, -1.0])
def test_an_impossible_pace_is_refused(pace, tiny_model_path, tmp_path):
    with pytest.raises(ConfigError, match="must be milliseconds above 0"):
        benchmark([tiny_model_path], out=tmp_path, pictures=None, data_name="", paced_ms=pace)


def test_quick_judges_a_thousand_pictures_of_all_classes(instant, tiny_model_path, tiny_pictures, tmp_path):
    many = tiny_pictures.take(sorted(list(range(len(tiny_pictures))) * 60))
    report = benchmark([tiny_model_path], out=tmp_path, pictures=many, data_name="colours", quick=True)
    assert report.images == report.files[0].quality.images == 1000
    assert min(sum(row) for row in report.files[0].quality.confusion) > 200


def test_a_benchmark_that_was_killed_goes_on_and_leaves_no_trace(tiny_model_path, tmp_path, monkeypatch, make_block):
    asked = []

    def dying(job):
        asked.append(job)
        if len(asked) == 3:
            raise ModelError("killed")
        return make_block(1.0)

    monkeypatch.setattr("edgeproof.benchmarks.measure.run_block", dying)
    options = {"out": tmp_path, "pictures": None, "data_name": "", "threads": [1], "quick": True}
    with pytest.raises(ModelError, match="killed"):
        benchmark([tiny_model_path], **options)
    assert (tmp_path / ".blocks.jsonl").is_file()
    report = benchmark([tiny_model_path], **options)
    assert len(asked) == 5
    assert report.resumed_blocks == 2
    assert not (tmp_path / ".blocks.jsonl").exists()
