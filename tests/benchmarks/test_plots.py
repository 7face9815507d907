import pytest

from edgeproof.benchmarks import plots
from edgeproof.benchmarks.plots import pareto


def test_the_front_holds_only_what_no_other_beats_in_both():
    points = [(1.0, 60.0), (2.0, 90.0), (3.0, 80.0), (2.0, 70.0), (4.0, 95.0)]
    assert pareto(points) == ((1.0, 60.0), (2.0, 90.0), (4.0, 95.0))


def test_a_judged_report_has_a_trade_off_and_a_matrix_a_file(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    alts = [figure.alt for figure in plots.plots(make_report())]
    assert [alt.split()[0] for alt in alts] == ["Scatter", "Box", "Stacked", "Stacked", "Matrix", "Matrix"]
    assert "tiny-int8.tflite 60.0 % at 1.00 ms and 1.00 MB" not in alts[1]
    assert "tiny-int8.tflite 60.0 % at 1.00 ms" in alts[0]
    assert "tiny-int8.tflite with 2 threads 0.500 ms" in alts[1]
    assert "tiny-float32.tflite 198 milliseconds" in alts[2]
    assert "tiny-float32.tflite 60 MiB" in alts[3]


def test_a_report_without_accuracy_has_no_plots_of_it(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    assert len(plots.plots(make_report(judged=False))) == 3


def test_more_files_than_colours_can_be_drawn(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    report = make_report()
    assert plots.trade_off(make_report(files=report.files * 4)).png
