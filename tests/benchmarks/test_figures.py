import math

import pytest
from msgspec.structs import replace

from edgeproof.benchmarks import figures
from edgeproof.benchmarks.blocks import Measurement
from edgeproof.runtime.accuracy import Accuracy


@pytest.fixture
def measurement(make_block):
    return Measurement(threads=1, blocks=(make_block(1.0, peak_mb=60), make_block(2.0, peak_mb=70)))


@pytest.fixture
def file(make_report, verified):
    return replace(make_report(judged=False).files[0], verification=verified)


def test_a_percentile_is_of_each_block_and_of_all_calls(measurement):
    assert figures.of_blocks(measurement, "p50") == pytest.approx([1.0, 2.0], rel=1e-3)
    assert figures.of_blocks(measurement, "p10")[0] == pytest.approx(0.92, rel=1e-3)
    assert 1.1 <= figures.whole(measurement, "p50") <= 1.8  # between the calls of both blocks


def test_other_figures_are_medians_over_the_blocks(measurement):
    assert figures.whole(measurement, "memory") == 65
    assert figures.of_blocks(measurement, "cold-start") == [150 + 40 + 2, 150 + 40 + 4]
    assert figures.of_blocks(measurement, "throughput") == [1000, 500]


def test_a_throughput_that_was_not_measured_is_no_figure(measurement):
    without = replace(measurement, blocks=tuple(replace(each, images_per_s=0.0) for each in measurement.blocks))
    assert figures.of_blocks(without, "throughput") == []
    assert math.isnan(figures.whole(without, "throughput"))


def test_blocks_that_are_far_apart_are_not_steady(measurement):
    assert not figures.steady(measurement)
    assert figures.steady(replace(measurement, blocks=measurement.blocks[:1] * 2))


def test_answers_counted_here_go_before_those_of_the_verification(file, make_report):
    assert figures.top1(file) == Accuracy(750, 1000)
    assert figures.top1(make_report().files[0]) == Accuracy(36, 40)
    assert figures.same_answers(file) == Accuracy(970, 1000)
    assert figures.top1(replace(file, verification=None)) is None


def test_two_files_beside_one_keras_model_differ_on_the_sum_of_their_differences_at_most(file, verified):
    other = replace(file, sha256="1" * 64, verification=replace(verified, different_answers=12))
    assert figures.different_at_most(file, other) == 42
    assert figures.different_at_most(file, file) == 0


@pytest.mark.parametrize("change", [{"images_digest": "e"}, {"reference_top1": 0.77}, {"reference_top5": 0.9}])
def test_beside_another_reference_nothing_is_known_of_their_differences(file, verified, change):
    other = replace(file, sha256="1" * 64, verification=replace(verified, **change))
    assert figures.different_at_most(file, other) is None


def test_counts_of_other_pictures_are_not_taken_for_those_of_the_verification(file, make_report):
    judged = replace(file, sha256="1" * 64, quality=make_report().files[0].quality)
    assert figures.different_at_most(file, judged) is None
    assert figures.different_at_most(file, replace(file, sha256="1" * 64, verification=None)) is None
