from itertools import product

import numpy as np
import pytest

from edgeproof.convert import rounding
from edgeproof.convert.rounding import LIMIT, Rounded, Rows


def correlated(rows, size, seed=0):
    """Inputs that move together and have a mean, as those of a layer behind a ReLU."""
    draw = np.random.default_rng(seed)
    mixed = draw.standard_normal((rows, size)) @ draw.standard_normal((size, size)) + draw.uniform(1, 3, size)
    return mixed.astype(np.float32)


def covariance(size, seed=0):
    return np.cov(correlated(400, size, seed).T)


def error(weights, integers, scale, form):
    """The quadratic error of each row."""
    rest = weights - integers * scale[:, np.newaxis]
    return np.einsum("ij,jk,ik->i", rest, form, rest)


def seen_by_filters(channels=3, rows=300, k=9, seed=0):
    """Inputs and targets of depthwise filters, and the filters."""
    weights = np.random.default_rng(seed).standard_normal((channels, k))
    inputs = np.stack([correlated(rows, k, seed + channel) for channel in range(channels)])
    return Rows(inputs, np.einsum("crk,ck->cr", inputs, weights).astype(np.float32)), weights


def test_three_weights_are_rounded_as_trying_all_ways_would_round_them():
    weights, form = (
        np.random.default_rng(1).standard_normal((4, 3)),
        np.stack([covariance(3, seed) for seed in range(4)]),
    )
    # A large weight that hardly matters: here a smaller scale that cuts it off errs less.
    weights[0, 0], form[0] = 5, np.diag([1e-9, 1, 1])
    integers, scale = rounding._exhaustive(weights, form)
    for channel in range(4):
        row, least = weights[[channel]], np.inf
        for tried in rounding.largest(row) * rounding._SHRINKS[::2, np.newaxis]:
            below = np.floor(row[0] / tried)
            for way in product((0, 1), repeat=3):
                up = np.clip(below + way, -LIMIT, LIMIT)[np.newaxis]
                least = min(least, error(row, up, tried, form[channel])[0])
        found = error(row, integers[[channel]], scale[[channel]], form[channel])[0]
        assert found == pytest.approx(least)
    assert scale[0] < rounding.largest(weights)[0]


def test_trying_all_ways_errs_less_than_rounding_to_nearest():
    weights, form = np.random.default_rng(2).standard_normal((16, 9)), np.stack([covariance(9, s) for s in range(16)])
    integers, scale = rounding._exhaustive(weights, form)
    full = rounding.largest(weights)
    nearest = rounding._nearest(weights, full)
    ours, theirs = (
        np.array([error(weights[[c]], found[[c]], step[[c]], form[c])[0] for c in range(16)])
        for found, step in ((integers, scale), (nearest, full))
    )
    assert (ours <= theirs).all()
    assert ours.sum() < 0.5 * theirs.sum()


@pytest.mark.parametrize("size", [5, 64, 150])
def test_rounding_in_turn_errs_less_than_rounding_to_nearest(size):
    weights, form = np.random.default_rng(3).standard_normal((8, size)), covariance(size) + 0.01 * np.eye(size)
    scale = rounding.largest(weights)
    ours = error(weights, rounding._in_turn(weights, form, scale), scale, form)
    theirs = error(weights, rounding._nearest(weights, scale), scale, form)
    assert ours.sum() < 0.7 * theirs.sum()


def test_inputs_that_do_not_move_together_are_rounded_to_nearest():
    weights, form = np.random.default_rng(4).standard_normal((5, 12)), np.diag(np.arange(1.0, 13.0))
    scale = rounding.largest(weights)
    np.testing.assert_array_equal(rounding._in_turn(weights, form, scale), rounding._nearest(weights, scale))


def test_the_order_of_the_blocks_does_not_matter(monkeypatch):
    weights, form = np.random.default_rng(5).standard_normal((4, 100)), covariance(100) + 0.01 * np.eye(100)
    scale = rounding.largest(weights)
    whole = rounding._in_turn(weights, form, scale)
    monkeypatch.setattr(rounding, "_BLOCK", 7)
    np.testing.assert_array_equal(rounding._in_turn(weights, form, scale), whole)


def test_a_row_with_one_large_weight_gets_a_smaller_scale_only_where_that_errs_less():
    weights, form = np.random.default_rng(6).standard_normal((20, 30)), np.eye(30)
    scale, full = rounding._scales(weights, form), rounding.largest(weights)
    assert (scale <= full).all()
    ours = error(weights, rounding._nearest(weights, scale), scale, form)
    assert (ours <= error(weights, rounding._nearest(weights, full), full, form) + 1e-15).all()


@pytest.mark.parametrize("by_error", [True, False])
def test_the_bias_of_a_dense_layer_leaves_no_mean_error(by_error):
    inputs, weights = correlated(500, 20), np.random.default_rng(7).standard_normal((6, 20))
    targets = (inputs @ weights.T + 5).astype(np.float32)
    found = rounding.dense(Rows(inputs, targets), weights, by_error=by_error)
    given = inputs @ found.real(depthwise=False).T + found.bias
    np.testing.assert_allclose(given.mean(axis=0), targets.mean(axis=0), atol=1e-4)
    assert found.integers.shape == weights.shape
    assert np.abs(found.integers).max() <= LIMIT
    np.testing.assert_array_equal(found.integers, np.rint(found.integers))


def test_a_dense_layer_rounded_by_error_gives_better_outputs():
    inputs, weights = correlated(500, 40), np.random.default_rng(8).standard_normal((6, 40))
    targets = (inputs @ weights.T).astype(np.float32)
    ours, nearest = (
        np.square(inputs @ found.real(depthwise=False).T + found.bias - targets).mean()
        for found in (rounding.dense(Rows(inputs, targets), weights, by_error=each) for each in (True, False))
    )
    assert ours < 0.5 * nearest


@pytest.mark.parametrize("k", [9, 25])
def test_filters_rounded_by_error_give_better_outputs_without_mean_error(k):
    seen, weights = seen_by_filters(channels=16, k=k)
    rest = {}
    for by_error in (True, False):
        found = rounding.depthwise(seen, weights, by_error=by_error)
        given = np.einsum("crk,ck->cr", seen.inputs, found.integers * found.scale[:, np.newaxis])
        rest[by_error] = given + found.bias[:, np.newaxis] - seen.targets
        np.testing.assert_allclose(rest[by_error].mean(axis=1), 0, atol=1e-4)
    assert np.square(rest[True]).mean() < 0.75 * np.square(rest[False]).mean()


def test_rows_far_beyond_the_activation_count_for_nothing():
    seen, weights = seen_by_filters()
    shifted = seen.targets - seen.targets.mean(axis=1, keepdims=True) + 6
    bounds = (0.0, 6.0)
    mangled, inputs = shifted.copy(), seen.inputs.copy()
    beyond = shifted > 6 + 0.25 * shifted.std(axis=1, keepdims=True) + 0.1
    assert beyond.any(axis=1).all()
    inputs[beyond] = inputs[beyond] * 2 + 5
    one = rounding.depthwise(Rows(seen.inputs, mangled), weights, bounds=bounds)
    other = rounding.depthwise(Rows(inputs, mangled), weights, bounds=bounds)
    np.testing.assert_array_equal(one.integers, other.integers)
    np.testing.assert_allclose(one.bias, other.bias, rtol=1e-5)
    free = rounding.depthwise(Rows(inputs, mangled), weights)
    assert not np.allclose(free.bias, one.bias, rtol=1e-2), "without bounds they count"


def test_a_channel_that_is_all_beyond_its_activation_counts_whole():
    seen, weights = seen_by_filters()
    shifted = (seen.targets - seen.targets.max(axis=1, keepdims=True) - 100).astype(np.float32)
    np.testing.assert_array_equal(rounding._within(shifted, (0.0, 6.0)), 1)
    found = rounding.depthwise(Rows(seen.inputs, shifted), weights, bounds=(0.0, 6.0))
    assert np.isfinite(found.bias).all()
    assert (found.bias < -50).all()


@pytest.mark.parametrize("by_error", [True, False])
def test_dead_channels_and_dead_weights_give_numbers(by_error):
    seen, weights = seen_by_filters()
    seen.inputs[0], seen.targets[0], weights[1] = 0, 0.25, 0
    seen.targets[1] = 0
    found = rounding.depthwise(seen, weights, by_error=by_error)
    assert all(np.isfinite(part).all() for part in (found.integers, found.scale, found.bias))
    assert (found.scale > 0).all()
    assert found.bias[0] == pytest.approx(0.25)
    assert (found.integers[1] == 0).all()
    inputs, rows = np.zeros((100, 4), np.float32), np.array([[1.0, 2, 3, 4], [0, 0, 0, 0]])
    flat = rounding.dense(Rows(inputs, np.full((100, 2), 3, np.float32)), rows, by_error=by_error)
    np.testing.assert_allclose(flat.bias, [3, 3])
    assert np.isfinite(flat.integers).all()


def test_what_integers_stand_for_is_scaled_by_output_channel():
    integers, scale = np.ones((2, 3, 3, 5)), np.array([2.0, 3.0])
    assert Rounded(integers, scale, np.zeros(2)).real(depthwise=False)[:, 0, 0, 0].tolist() == [2, 3]
    filters = Rounded(np.ones((1, 3, 3, 2)), scale, np.zeros(2))
    assert filters.real(depthwise=True)[0, 0, 0].tolist() == [2, 3]
    assert Rounded(np.ones((2, 4)), scale, np.zeros(2)).real(depthwise=False)[:, 0].tolist() == [2, 3]
