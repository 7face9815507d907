import numpy as np
import pytest

from edgeproof.benchmarks import backends
from edgeproof.benchmarks.backends import Way, compare
from edgeproof.runtime import ModelError


@pytest.fixture
def pixels():
    return np.random.default_rng(4).integers(0, 256, (11, 8, 8, 3), np.uint8)


def test_every_way_is_timed_in_blocks_and_held_against_the_first(tiny_model_path, pixels):
    ways = (Way("xnnpack"), Way("builtin", 1, 4), Way("reference"))
    found = compare(tiny_model_path, pixels, ways=ways, rounds=2)
    assert [(each.name, each.batch) for each in found] == [("xnnpack", 1), ("builtin", 4), ("reference", 1)]
    assert [len(each.blocks_ns) for each in found] == [2, 2, 1]
    assert [each.pictures for each in found] == [11] * 3
    assert found[0].largest_difference == 0
    assert all(each.largest_difference < 1e-5 and each.flips == 0 and each.error == "" for each in found)


def test_a_way_that_crashes_is_told_and_ends_no_other(tiny_model_path, pixels, monkeypatch):
    def asked(question):
        if question.way.name == "compiled":
            raise ModelError("killed by SIGSEGV")
        return tuple(backends.timed(question))

    monkeypatch.setattr(backends, "_asked", asked)
    found = compare(tiny_model_path, pixels, ways=(Way("xnnpack"), Way("compiled")), rounds=2)
    assert found[1].error == "killed by SIGSEGV"
    assert found[1].blocks_ns == ()
    assert len(found[0].blocks_ns) == 2


def test_a_file_that_cannot_be_run_at_all_is_an_error(tmp_path, pixels):
    path = tmp_path / "none.tflite"
    path.write_bytes(b"none")
    with pytest.raises(ModelError, match="is no TFLite model"):
        compare(path, pixels, ways=(Way("xnnpack"),), rounds=2)


def test_flips_are_counted_picture_by_picture():
    wanted, given = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    given[0] = [0.2, 0.7, 0.1]
    found = backends._judged(Way("builtin"), [(1,)], wanted, given, "")
    assert (found.flips, found.pictures) == (1, 3)
    assert found.largest_difference == pytest.approx(0.8)
