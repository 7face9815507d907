import numpy as np
import pytest

from edgeproof.convert import equalisation, fidelity
from edgeproof.convert.fidelity import PICTURES, Tally, accumulated, together


def values(shape=(8, 4, 4, 6), seed=0):
    return np.random.default_rng(seed).normal(2, 3, shape).astype(np.float32)


def of(exact, found, limits=None):
    tally = Tally()
    tally.add(exact, found, limits)
    return tally.fidelity


def test_equal_outputs_have_no_noise_no_angle_and_no_shift():
    found = of(values(), values())
    assert found.sqnr_db is None
    assert found.cosine == pytest.approx(1.0)
    assert found.mean_shift == found.saturated == 0.0


def test_noise_of_a_tenth_of_the_signal_has_20_decibels():
    exact = values((30, 8, 8, 6))
    noise = np.sqrt((exact**2).mean()) / 10 * np.random.default_rng(1).standard_normal(exact.shape)
    assert of(exact, exact + noise.astype(np.float32)).sqnr_db == pytest.approx(20, abs=0.3)


def test_the_cosine_is_that_of_the_two_outputs():
    exact, found = values(), values(seed=1)
    expected = np.vdot(exact, found) / np.linalg.norm(exact) / np.linalg.norm(found)
    assert of(exact, found).cosine == pytest.approx(expected, rel=1e-5)


def test_a_shift_is_told_in_standard_deviations_of_the_channels_and_noise_is_none():
    exact = values((30, 8, 8, 6))
    assert of(exact, exact + np.float32(1.5)).mean_shift == pytest.approx(0.5, abs=0.02)
    signs = np.random.default_rng(1).choice([-1.5, 1.5], exact.shape)
    assert of(exact, exact + signs.astype(np.float32)).mean_shift < 0.03


def test_shifts_of_channels_that_cancel_each_other_count_all_the_same():
    exact = values()
    assert of(exact, exact + np.float32([1, -1] * 3)).mean_shift > 0.2


def test_values_more_than_half_a_step_beyond_the_limits_saturate():
    exact = np.array([[-1.0, 0.0, 1.0, 2.0, 2.003, 2.1]], np.float32)
    assert of(exact, exact, limits=(-1.0, 2.0)).saturated == pytest.approx(1 / 6)
    assert of(exact, exact, limits=(-0.5, 2.0)).saturated == pytest.approx(2 / 6)


def test_parts_add_up():
    exact, found = values((8, 2, 2, 6)), values((8, 2, 2, 6), seed=1)
    tally = Tally()
    for part in (slice(0, 3), slice(3, 8)):
        tally.add(exact[part], found[part], (-1.0, 1.0))
    whole = of(exact, found, (-1.0, 1.0))
    assert tally.fidelity.sqnr_db == pytest.approx(whole.sqnr_db)
    assert tally.fidelity.mean_shift == pytest.approx(whole.mean_shift)
    assert tally.fidelity.saturated == whole.saturated


def test_of_many_pictures_the_first_ones_tell():
    exact = values((PICTURES + 3, 2))
    found = exact.copy()
    found[PICTURES:] += 100
    assert of(exact, found).sqnr_db is None


def test_a_tally_of_nothing_is_refused():
    with pytest.raises(ValueError, match="Nothing was added"):
        Tally().fidelity  # noqa: B018  # it raises when it is looked at


@pytest.fixture(scope="module")
def side_by_side(residual, coloured, simulated):
    graph, pixels = residual(), coloured(20, 16)
    simulation = simulated(graph, pixels)
    return simulation, pixels, accumulated(simulation, pixels)


def test_every_operator_is_compared_and_errors_add_up_with_depth(side_by_side):
    simulation, _, (found, _) = side_by_side
    graph = simulation.graph
    assert set(found) == set(range(len(graph.operators)))
    assert found[0].sqnr_db > 35
    assert all(10 < each.sqnr_db < 50 and each.cosine > 0.95 for each in found.values())
    last_layer = max(number for number in found if graph.kind(number) == "CONV_2D")
    assert found[last_layer].sqnr_db < found[0].sqnr_db - 3


def test_spans_are_those_of_the_float_graph(side_by_side):
    simulation, pixels, (_, spans) = side_by_side
    expected = equalisation.spans(simulation.graph, pixels)
    for operator, found in spans.items():
        seen = expected[simulation.graph.given(operator)]
        np.testing.assert_array_equal(found.low, seen.low)
        np.testing.assert_array_equal(found.high, seen.high)


def test_running_fewer_pictures_at_once_gives_the_same(side_by_side, monkeypatch):
    simulation, pixels, (found, spans) = side_by_side
    # The darkest and the brightest are no longer in the last part.
    pixels = pixels[np.argsort(-np.abs(pixels.mean(axis=(1, 2, 3)) - 127))]
    monkeypatch.setattr(fidelity, "MEMORY_BYTES", 7 * 16 * 16 * 8 * 24)
    assert together(simulation.graph, len(pixels)) == 7
    others, other_spans = accumulated(simulation, pixels)
    for operator in found:
        assert others[operator].sqnr_db == pytest.approx(found[operator].sqnr_db, abs=0.01)
        np.testing.assert_allclose(other_spans[operator].high, spans[operator].high, rtol=1e-5)
        np.testing.assert_allclose(other_spans[operator].low, spans[operator].low, rtol=1e-5)


def test_operators_that_stay_float_are_compared_too(residual, coloured, simulated):
    pixels = coloured(8, 16)
    found, _ = accumulated(simulated(residual(), pixels, in_float=[0, 1]), pixels)
    assert found[0].sqnr_db is None or found[0].sqnr_db > 60
    assert found[2].sqnr_db < 60
