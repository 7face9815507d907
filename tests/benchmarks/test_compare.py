import math

import numpy as np
import pytest
from msgspec.structs import replace

from edgeproof.benchmarks import compare as comparing
from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.compare import Terms, compare, compare_files
from edgeproof.benchmarks.comparison import METRICS, REQUIRED


def remeasured(report, *, slower=0.0, noise=0.01, seed=0, count=8, peak_mb=60.0):
    """A report whose blocks are as long as before, but for `slower` and noise between processes."""
    draw = np.random.default_rng(seed)

    def block(made):
        factor = (1 + slower) * math.exp(draw.normal(0, noise))
        return replace(
            made,
            samples_ns=tuple(int(sample * factor) for sample in made.samples_ns),
            first_answer_ms=made.first_answer_ms * factor,
            images_per_s=made.images_per_s / factor,
            rss_peak_mb=peak_mb,
        )

    def measurement(made):
        return Measurement(threads=made.threads, blocks=tuple(block(made.blocks[0]) for _ in range(count)))

    files = tuple(replace(file, measurements=tuple(map(measurement, file.measurements))) for file in report.files)
    return replace(report, files=files)


@pytest.fixture
def report(make_report):
    return make_report()


def by_metric(found, file="tiny-int8.tflite", threads=1):
    """The decisions of one file at one number of threads, and those of all threads."""
    return {each.metric: each for each in found.decisions if each.file == file and each.threads in (threads, None)}


def test_a_slow_down_is_a_regression_of_status_1(report):
    found = compare(remeasured(report), remeasured(report, slower=0.2, seed=1))
    assert found.status == 1
    decisions = by_metric(found)
    assert [decisions[metric].verdict for metric in ("p10", "p50", "p90", "throughput")] == ["regression"] * 4
    low, high = decisions["p50"].interval
    assert 10 < low < decisions["p50"].change < high < 30
    assert decisions["throughput"].change < -10


def test_the_other_way_round_it_is_an_improvement_of_status_0(report):
    found = compare(remeasured(report, slower=0.2), remeasured(report, seed=1))
    assert found.status == 0
    assert by_metric(found)["p50"].verdict == by_metric(found)["throughput"].verdict == "improvement"


def test_two_runs_of_the_same_files_are_no_difference(report):
    found = compare(remeasured(report), remeasured(report, seed=1))
    assert found.status == 0
    assert {each.verdict for each in found.decisions} == {"no difference"}


def test_noise_cannot_be_told_from_a_regression(report):
    found = compare(remeasured(report, noise=0.08), remeasured(report, noise=0.08, seed=1))
    assert found.status == 2
    assert by_metric(found)["p50"].undecided


def test_runs_apart_in_time_are_not_judged_where_the_machine_was_unsteady(report):
    unsteady = remeasured(report, noise=0.3)
    found = by_metric(compare(unsteady, remeasured(report, slower=0.5, seed=1)))
    assert (found["p50"].verdict, found["p50"].reason, found["p50"].interval) == ("cannot tell", "unsteady", None)
    assert found["memory"].verdict == "no difference"


def test_files_of_one_report_were_measured_in_turn_and_are_judged_all_the_same(report):
    noisy = remeasured(report, noise=0.3)
    found = compare_files(noisy)
    assert [(pair.old, pair.new, pair.by) for pair in found.pairs] == [
        ("tiny-float32.tflite", "tiny-int8.tflite", "order")
    ]
    assert by_metric(found)["p50"].verdict == "improvement"


def test_on_another_machine_size_and_answers_are_judged_and_speed_is_not(report):
    other = replace(remeasured(report, slower=0.5, seed=1), environment=replace(report.environment, cpu="Other CPU"))
    found = compare(remeasured(report), other)
    assert found.machine == "cpu Example CPU and Other CPU"
    assert found.status == 2
    for decision in found.decisions:
        if decision.metric in ("size", "top-1"):
            assert decision.verdict == "no difference"
        else:
            assert (decision.verdict, decision.reason) == ("cannot tell", "another machine")
    assert compare(remeasured(report), other, Terms(metrics=("size", "top-1"))).status == 0
    larger = tuple(replace(file, size_bytes=2 * file.size_bytes) for file in other.files)
    assert compare(remeasured(report), replace(other, files=larger)).status == 1


def test_fewer_right_answers_are_a_regression_in_points(report, make_report):
    found = by_metric(compare_files(report, Terms(metrics=("top-1",))))
    assert found["top-1"].change == pytest.approx(-30)
    assert found["top-1"].verdict == "regression"
    assert by_metric(compare_files(report, Terms(max_drop=60)))["top-1"].verdict == "no difference"


def test_answers_of_which_one_report_knows_nothing_cannot_be_told(report, make_report):
    silent = remeasured(make_report(judged=False), seed=1)
    found = by_metric(compare(remeasured(report), silent))
    assert (found["top-1"].verdict, found["top-1"].reason) == ("cannot tell", "only one of the two was judged")
    assert "top-1" not in by_metric(compare(silent, silent))


def test_a_file_that_is_gone_cannot_be_told(report):
    whole = remeasured(report)
    found = compare(whole, replace(whole, files=whole.files[:1]))
    assert (found.missing, found.status) == (("tiny-int8.tflite",), 2)
    assert compare(replace(whole, files=whole.files[:1]), whole).status == 0


def test_named_metrics_alone_are_decided_and_all_of_them_required(report):
    found = compare(remeasured(report), remeasured(report, seed=1), Terms(metrics=("p90", "size")))
    assert {each.metric for each in found.decisions} == {"p90", "size"}
    assert all(each.required for each in found.decisions)
    assert [metric for metric in METRICS if Terms().required(metric)] == list(REQUIRED)


def test_a_wider_limit_forgives(report):
    old, new = remeasured(report), remeasured(report, slower=0.2, seed=1)
    assert [compare(old, new, Terms(fail_on=limit)).status for limit in (0, 5, 40)] == [1, 1, 0]


def test_threads_that_one_report_lacks_are_left_out(report):
    old = remeasured(report)
    files = tuple(replace(file, measurements=file.measurements[:1]) for file in old.files)
    assert {each.threads for each in compare(old, replace(old, files=files)).decisions} == {1, None}


def test_reports_of_other_numbers_of_threads_cannot_be_told(report):
    old = remeasured(report)
    one, two = (
        replace(old, files=tuple(replace(file, measurements=file.measurements[n : n + 1]) for file in old.files))
        for n in (0, 1)
    )
    found = compare(one, two)
    assert found.status == 2
    assert by_metric(found, threads=None)["p50"].reason == "other numbers of threads"


def test_a_named_metric_that_nobody_measured_cannot_be_told(make_report):
    silent = remeasured(make_report(judged=False))
    found = compare(silent, silent, Terms(metrics=("size", "top-1")))
    assert (found.status, by_metric(found)["top-1"].reason) == (2, "not measured")
    assert compare(silent, silent).status == 0


def test_a_report_against_itself_shows_no_difference(report):
    whole = remeasured(report)
    found = compare(whole, whole)
    assert found.status == 0
    assert [each.change for each in found.decisions] == pytest.approx([0] * len(found.decisions), abs=0.5)
    assert comparing.IN_TURN < comparing.APART
