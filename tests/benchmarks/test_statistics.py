import msgspec
import pytest

from edgeproof.benchmarks.blocks import Batches, Measurement
from edgeproof.benchmarks.statistics import Latency, Summary, intervals, throughput


def test_percentiles_are_of_the_raw_samples():
    latency = Latency.of([ms * 1_000_000 for ms in range(101)])
    assert (latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms) == (50, 90, 95, 99)


def test_percentiles_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one sample"):
        Latency.of([])


def test_a_summary_takes_medians_over_blocks_and_the_highest_peak(make_block):
    blocks = (make_block(1.0, peak_mb=60), make_block(2.0, peak_mb=90), make_block(4.0, peak_mb=70))
    summary = Summary.of(Measurement(threads=1, blocks=blocks))
    assert summary.first_answer_ms == 4.0
    assert summary.images_per_s == 500
    assert summary.rss_peak_mb == 90


def test_blocks_that_disagree_are_called_unsteady(make_block):
    calm = Summary.of(Measurement(threads=1, blocks=(make_block(1.0), make_block(1.02))))
    disturbed = Summary.of(Measurement(threads=1, blocks=(make_block(1.0), make_block(1.3))))
    assert calm.steady
    assert not disturbed.steady
    assert disturbed.block_ratio == pytest.approx(1.3, rel=1e-3)
    assert "measure again" in disturbed.unsteady


def test_an_interval_is_as_wide_as_blocks_lie_apart_and_not_as_calls_do(make_block):
    alike = Measurement(threads=1, blocks=tuple(make_block(1.0) for _ in range(6)))
    apart = Measurement(threads=1, blocks=tuple(make_block(1.0 + part / 10) for part in range(6)))
    low, high = intervals(alike)
    assert low == high
    low, high = intervals(apart)
    assert low.p50_ms < Latency.of(apart.samples_ns).p50_ms < high.p50_ms
    assert high.p50_ms - low.p50_ms > 0.1
    assert intervals(apart) == intervals(apart, seed=0) != intervals(apart, seed=1)


def test_loading_is_split_into_reading_making_and_allocating(make_block):
    block = msgspec.structs.replace(make_block(1.0), load_ms=40.0, interpreter_ms=25.0, allocate_ms=5.0)
    summary = Summary.of(Measurement(threads=1, blocks=(block,)))
    assert (summary.read_ms, summary.interpreter_ms, summary.allocate_ms) == (10.0, 25.0, 5.0)


def test_mlperf_s_estimate_is_above_p90_and_needs_64_calls(make_block):
    blocks = tuple(make_block(1.0) for _ in range(4))
    summary = Summary.of(Measurement(threads=1, blocks=blocks))
    assert summary.early_stopping_ms > summary.latency.p90_ms
    assert Summary.of(Measurement(threads=1, blocks=blocks[:3])).early_stopping_ms is None


def test_throughput_is_the_median_over_the_blocks_by_batch(make_block):
    def with_rate(rate):
        offline = tuple(Batches(batch=batch, images=rate * batch, seconds=1.0) for batch in (1, 8))
        return msgspec.structs.replace(make_block(1.0), offline=offline)

    measurement = Measurement(threads=1, blocks=tuple(with_rate(rate) for rate in (100, 300, 200)))
    assert throughput(measurement) == {1: 200, 8: 1600}


def test_paced_latency_is_apart_from_the_other(make_block):
    block = msgspec.structs.replace(make_block(1.0), paced_ns=(3_000_000,) * 20)
    summary = Summary.of(Measurement(threads=1, blocks=(block, block)))
    assert (summary.paced.p50_ms, summary.latency.p50_ms) == (3.0, pytest.approx(1.0))
