import msgspec
import pytest

from edgeproof.benchmarks import plots
from edgeproof.benchmarks.blocks import Batches
from edgeproof.benchmarks.plots import pareto


def swept(report):
    """The report with batches of 1 and 8 in every block: 100 and 200 images a second."""
    offline = (Batches(batch=1, images=100, seconds=1.0), Batches(batch=8, images=400, seconds=2.0))
    replace = msgspec.structs.replace

    def measured(one):
        return replace(one, blocks=tuple(replace(block, offline=offline) for block in one.blocks))

    files = tuple(replace(file, measurements=tuple(map(measured, file.measurements))) for file in report.files)
    return replace(report, files=files)


def test_the_front_holds_only_what_no_other_beats_in_both():
    points = [(1.0, 60.0), (2.0, 90.0), (3.0, 80.0), (2.0, 70.0), (4.0, 95.0)]
    assert pareto(points) == ((1.0, 60.0), (2.0, 90.0), (4.0, 95.0))


def test_the_words_of_the_plots_hold_their_numbers(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    report = make_report()
    assert "tiny-int8.tflite 60.0 % at 1.00 ms and 1.00 MB" in plots.trade_off(report).alt
    assert "tiny-int8.tflite with 2 threads median 0.500 ms, 99th percentile" in plots.latency(report).alt
    assert "tiny-float32.tflite 2.00 times with 2 threads" in plots.scaling(report).alt
    assert "tiny-int8.tflite with 1 thread 100 in batches of 1, 200 in batches of 8" in plots.batches(swept(report)).alt


def test_a_file_that_another_beats_in_both_is_told(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    files = make_report().files
    slower = msgspec.structs.replace(files[0], quality=files[1].quality)
    alt = plots.trade_off(make_report(files=(slower, files[1]))).alt
    assert alt.count("beaten in both") == 1
    assert "60.0 % at 4.00 ms and 4.00 MB, beaten in both" in alt


def test_what_was_not_swept_is_not_drawn(make_report):
    report = make_report()
    one = tuple(msgspec.structs.replace(file, measurements=file.measurements[:1]) for file in report.files)
    assert plots.scaling(make_report(files=one)) is None
    assert plots.batches(report) is None


def test_long_names_keep_the_end_that_tells_them_apart(make_report):
    file = make_report().files[0]
    named = msgspec.structs.replace(file, name="a-very-long-name-of-a-model-with-much-in-it-100-96-int8.tflite")
    lines = plots.wrapped(named).split("\n")
    assert len(lines) == 2
    assert lines[0].startswith("…")
    assert lines[1].endswith("int8")
    assert plots.wrapped(file) == "tiny-float32"


def test_more_files_than_colours_can_be_drawn(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    report = make_report()
    assert plots.trade_off(make_report(files=report.files * 4)).image
