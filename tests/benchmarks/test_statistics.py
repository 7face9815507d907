import pytest

from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.statistics import Latency, Summary


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
    calm = Summary.of(Measurement(threads=1, blocks=(make_block(1.0), make_block(1.1))))
    disturbed = Summary.of(Measurement(threads=1, blocks=(make_block(1.0), make_block(1.3))))
    assert calm.steady
    assert not disturbed.steady
    assert disturbed.block_ratio == pytest.approx(1.3, rel=1e-3)
