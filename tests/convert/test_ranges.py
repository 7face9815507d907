import time

import numpy as np
import pytest

from edgeproof.convert import ranges
from edgeproof.convert.ranges import BINS, ESTIMATORS, SAMPLE, Observer
from edgeproof.runtime import ModelError


def seen(*batches, name="a tensor"):
    observer = Observer(name)
    for batch in batches:
        observer.observe(np.asarray(batch, np.float32))
    return observer


def histogram(observer):
    edges = observer._edges()
    return edges[[0, -1]].tolist(), observer.counts.tolist()


def quantised(values, low, high, levels):
    """What an affine quantiser gives back, written as the runtimes do it."""
    step = (high - low) / (levels - 1)
    zero = np.rint(-low / step)
    return (np.clip(np.rint(values / step) + zero, 0, levels - 1) - zero) * step


def squared_error(values, low, high, levels):
    return ((quantised(values, low, high, levels) - values) ** 2).mean()


def least_squared_error(values, levels):
    """The best error of 40 × 40 pairs of ends, tried on the values themselves."""
    shrunk = np.linspace(0.025, 1, 40)
    ends = [end * shrunk if end else np.zeros(1) for end in (min(values.min(), 0.0), max(values.max(), 0.0))]
    return min(squared_error(values, low, high, levels) for low in ends[0] for high in ends[1])


def sampled(name, count=3000):
    generator = np.random.default_rng(5)
    normal = generator.normal(size=count)
    values = {
        "normal": normal,
        "shifted": normal + 1.5,
        "laplace": generator.laplace(size=count),
        "relu": normal.clip(0),
        "relu6": (2 * normal + 3).clip(0, 6),
        "negative": -np.abs(normal),
        "one outlier": np.append(normal, 12.0),
    }
    return values[name].astype(np.float32)


KINDS = ["normal", "shifted", "laplace", "relu", "relu6", "negative", "one outlier"]


@pytest.mark.parametrize("kind", KINDS)
def test_min_max_is_exact_and_holds_zero(kind):
    values = sampled(kind)
    found = seen(values[:1000], values[1000:]).range("min-max")
    assert found == (min(float(values.min()), 0.0), max(float(values.max()), 0.0))


@pytest.mark.parametrize("values", [[3.0, 5.0], [-5.0, -3.0], [7.0], [-7.0]])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_range_reaches_to_zero_where_no_value_does(values, estimator):
    low, high = seen(values).range(estimator)
    assert low <= 0 <= high
    assert high - low == pytest.approx(np.abs(values).max(), rel=0.02)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_nothing_but_zeros_gives_a_range_of_no_width(estimator):
    assert seen(np.zeros(10)).range(estimator) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_no_range_goes_beyond_what_was_seen_and_zero(kind, estimator):
    values = sampled(kind)
    low, high = seen(values).range(estimator, bits=4)
    assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["normal", "laplace", "shifted"])
def test_a_percentile_is_numpys_within_the_width_of_two_bins(kind, share):
    values = sampled(kind)
    # The value itself that reaches the share, where far ones lie apart: no mean of two.
    expected = [sign * np.quantile(sign * values, (1 + share) / 2, method="inverted_cdf") for sign in (-1, 1)]
    width = (values.max() - values.min()) / (BINS / 2)
    found = seen(values).range("percentile", share=share)
    np.testing.assert_allclose(found, [min(expected[0], 0), max(expected[1], 0)], atol=2 * width, rtol=0)


def test_the_percentile_cuts_a_ten_thousandth_off_in_all_unless_told():
    values = np.append(np.linspace(-1, 1, 100_001), [50.0, -70.0])
    low, high = seen(values).range("percentile")
    assert (low, high) == (pytest.approx(-1, abs=0.08), pytest.approx(1, abs=0.08))
    assert seen(values).range("percentile", share=1.0) == (-70, 50)


def test_a_percentile_of_a_relu_leaves_its_zeros_at_the_low_end():
    low, high = seen(sampled("relu")).range("percentile", share=0.9)
    assert low == 0
    assert high == pytest.approx(np.quantile(sampled("relu"), 0.95), abs=0.01)


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_the_squared_error_is_at_most_a_fiftieth_above_the_best_of_1600_pairs(kind, bits):
    values = sampled(kind).astype(np.float64)
    found = seen(values).range("mse", bits=bits)
    assert squared_error(values, *found, 2**bits) <= 1.02 * least_squared_error(values, 2**bits)


def test_the_expected_error_is_the_one_that_values_have():
    values = sampled("normal", 100_000).astype(np.float64)
    observer = seen(values)
    tried = np.array([[-4.0, 4.0], [-2.0, 3.0], [-1.0, 0.5]])
    for levels in (16, 256, 65536):
        expected = ranges._squared_errors(observer._edges(), observer.counts, tried, levels) / len(values)
        real = [squared_error(values, low, high, levels) for low, high in tried]
        np.testing.assert_allclose(expected, real, rtol=0.02)


def test_few_levels_clip_what_many_keep():
    observer = seen(sampled("normal"))
    widths = [np.ptp(observer.range("mse", bits=bits)) for bits in (2, 4, 8, 16)]
    assert widths == sorted(widths)
    assert widths[0] < 0.6 * widths[-1]
    assert widths[-1] == pytest.approx(np.ptp(observer.range("min-max")), rel=0.01)


def test_the_values_at_the_end_of_a_relu6_are_not_clipped():
    assert seen(sampled("relu6")).range("mse") == (0, 6)


def test_zeros_leave_the_range_of_least_squared_error_as_it_is():
    # A far and rare value makes the bins wider than a step of the best range, where zeros could pass for others.
    values = np.append(sampled("relu", 990_000), 60.0)
    few, many = (seen(values, *[np.zeros(SAMPLE)] * times).range("mse") for times in (0, 5))
    assert few == many


def test_neither_the_order_nor_the_size_of_the_batches_changes_the_histogram():
    generator = np.random.default_rng(1)
    values = (generator.normal(size=5000) * np.exp(generator.normal(size=5000) * 3)).astype(np.float32)
    whole = seen(values)
    one_by_one = seen(*np.split(np.sort(values), 1000))
    backwards = seen(*np.array_split(values[::-1], 7))
    assert histogram(whole) == histogram(one_by_one) == histogram(backwards)
    assert whole.counts.sum() == 5000


@pytest.mark.parametrize("far", [1e-3, 0.5, 7.0, -1e6, 3e38, -1e-30, 1e-44])
def test_the_histogram_grows_to_any_value_and_keeps_every_count(far):
    near = sampled("normal")
    observer = seen(near, [far], near * np.float32(1e-20))
    assert BINS / 2 <= len(observer.counts) <= BINS
    assert observer.counts.sum() == 6001
    assert (observer.minimum, observer.maximum) == (
        min(near.min(), np.float32(far)),
        max(near.max(), np.float32(far)),
    )


def test_every_value_is_counted_in_the_bin_where_it_lies():
    values = sampled("shifted")
    observer = seen(values[:10], values[10:])
    edges = observer._edges().astype(np.float64)
    # NumPy's last bin is closed on the right; ours begins a bin of its own there.
    assert observer.counts.tolist() == np.histogram(values, np.append(edges[:-1], np.inf))[0].tolist()


def test_an_empty_batch_changes_nothing():
    assert histogram(seen([1.0, 2.0], [])) == histogram(seen([1.0, 2.0]))


def test_of_a_large_batch_a_sample_is_counted_but_every_extreme_is_seen():
    values = np.random.default_rng(2).normal(size=(12, 100, 100, 24)).astype(np.float32)
    values[3, 77, 11, 5], values[11, 1, 2, 3] = 31.0, -27.0
    observer = seen(values)
    assert observer.range("min-max") == (-27, 31)
    assert observer.counts.sum() == pytest.approx(values.size, rel=1e-4)
    expected = np.quantile(values, [0.05, 0.95])
    np.testing.assert_allclose(observer.range("percentile", share=0.9), expected, atol=0.02)


@pytest.mark.parametrize("shape", [(300, 48, 48, 96), (300, 24, 24, 144), (77, 96, 96, 32), (1, 7), (2**20,)])
def test_the_sample_meets_every_channel_row_and_column(shape):
    size = int(np.prod(shape))
    stride = ranges._stride(size)
    assert size / stride <= SAMPLE
    assert all(np.gcd(stride, axis) == 1 for axis in shape)


def test_a_large_batch_and_a_small_one_weigh_by_their_values():
    large = np.full(4 * SAMPLE, 1.0, np.float32)
    observer = seen(large, np.full(SAMPLE, -1.0))
    assert observer.counts[[0, -1]].tolist() == [SAMPLE, pytest.approx(4 * SAMPLE, rel=1e-4)]


def test_the_values_of_fifty_pictures_are_observed_in_a_quarter_of_a_second():
    values = np.random.default_rng(3).random((50, 48, 48, 96), np.float32)
    started = time.process_time()
    seen(values)
    assert time.process_time() - started < 0.25


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_tensor_that_overflows_is_named(bad):
    with pytest.raises(ModelError, match=r"block_3_add: values from .*(inf|nan).* on the calibration pictures"):
        seen([1.0, bad, 2.0], name="block_3_add")


def test_a_range_of_nothing_and_an_unknown_estimator_are_the_callers_mistakes():
    with pytest.raises(ValueError, match="block_1: nothing was observed yet"):
        Observer("block_1").range("min-max")
    with pytest.raises(ValueError, match="Expected an estimator of min-max, percentile, mse; got 'median'"):
        seen([1.0]).range("median")
