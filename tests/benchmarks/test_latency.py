import pytest

from edgeproof.benchmarks import latency
from edgeproof.runtime import ModelError


def test_every_flatbuffer_has_a_latency_of_its_own_in_order(tiny_flatbuffer, make_flatbuffer):
    found = latency.medians_ms([tiny_flatbuffer, make_flatbuffer(quantised=True)])
    assert len(found) == 2
    assert all(0 < each < 1000 for each in found)


def test_no_flatbuffers_have_no_latencies():
    assert latency.medians_ms([]) == ()


def test_what_is_no_model_is_refused():
    with pytest.raises(ModelError, match="lacks the mark TFL3"):
        latency.medians_ms([b"no model"])
