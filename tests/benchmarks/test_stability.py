import msgspec
import numpy as np
import pytest

from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.stability import stability


def measured(make_block, medians):
    return Measurement(threads=1, blocks=tuple(make_block(median) for median in medians))


def test_a_file_that_is_as_fast_as_itself_is_stable(make_block):
    found = stability(measured(make_block, [1.0, 1.01, 1.0, 0.99]))
    assert found.stable
    assert found.reason == ""


def test_a_machine_that_gets_slower_is_told_by_its_drift(make_block):
    found = stability(measured(make_block, [1.0, 1.0, 1.3, 1.3]))
    assert found.halves.value == pytest.approx(1, abs=0.02)
    assert found.drift.value == pytest.approx(1.3, rel=0.02)
    assert not found.stable
    assert "speed changed by a factor of 1.30" in found.reason


def test_a_file_that_differs_from_itself_is_not_stable(make_block):
    found = stability(measured(make_block, [1.0, 1.4, 1.4, 1.0, 1.0, 1.4, 1.4, 1.0]))
    assert found.drift.value == pytest.approx(1, abs=0.25)
    assert not found.stable


def test_noise_that_could_hide_a_difference_is_not_stable_though_the_halves_agree(make_block):
    draw = np.random.default_rng(0)
    noisy = [
        msgspec.structs.replace(make_block(1.0), samples_ns=tuple(map(int, draw.lognormal(14, 1.0, 20))))
        for _ in range(4)
    ]
    assert not stability(Measurement(threads=1, blocks=tuple(noisy))).stable


def test_one_block_tells_nothing(make_block):
    found = stability(measured(make_block, [1.0]))
    assert not found.stable
    assert "one block" in found.reason


def test_noise_is_told_as_noise_and_not_as_a_drift(make_block):
    found = stability(measured(make_block, [1.0, 1.4, 1.4, 1.0, 1.0, 1.4, 1.4, 1.0]))
    assert found.drift.holds_one
    assert "may differ from itself" in found.reason
