import msgspec
import pytest

from edgeproof.benchmarks.blocks import Block, Job, Measurement


def test_a_block_of_too_few_calls_is_refused():
    with pytest.raises(ValueError, match="at least 20 calls"):
        Job(model="m", pictures="p", threads=1, calls=19)


def test_a_job_without_a_thread_is_refused():
    with pytest.raises(ValueError, match="threads and batches >= 1"):
        Job(model="m", pictures="p", threads=0)


def test_a_measurement_keeps_the_samples_of_all_blocks_in_order(make_block):
    blocks = (make_block(3.0), make_block(1.0))
    samples = Measurement(threads=1, blocks=blocks).samples_ns
    assert samples == blocks[0].samples_ns + blocks[1].samples_ns


def test_a_block_survives_json(make_block):
    block = make_block(2.0)
    assert msgspec.json.decode(msgspec.json.encode(block), type=Block) == block


@pytest.mark.parametrize("pace", [0.0, -5.0])
def test_a_pace_that_is_none_is_refused(pace):
    with pytest.raises(ValueError, match="paced_ms > 0"):
        Job(model="m", pictures="p", threads=1, paced_ms=pace)


def test_a_job_that_does_more_is_expected_to_take_longer():
    plain = Job(model="m", pictures="p", threads=1)
    for more in ({"calls": 1000}, {"paced_ms": 50.0}, {"batches": (1, 8, 32)}, {"files": ("a",) * 50}):
        assert msgspec.structs.replace(plain, **more).expected_s > plain.expected_s
