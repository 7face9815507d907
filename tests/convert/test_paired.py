"""Statistics of paired answers, against scipy, by hand, and by simulation."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the train extra (scipy)")
pytest.importorskip("hypothesis", reason="needs the dev extra (hypothesis)")
from hypothesis import given, strategies
from scipy.stats import binomtest, entropy
from scipy.stats.contingency import crosstab

from edgeproof.convert import paired


def outputs(answers, classes=4, sure=0.7):
    """Probabilities whose best class is the answer."""
    rest = (1 - sure) / (classes - 1)
    table = np.full((len(answers), classes), rest, np.float32)
    table[np.arange(len(answers)), answers] = sure
    return table


def test_equal_outputs_have_no_drop_and_no_evidence_of_one():
    truth = np.arange(40) % 4
    found = paired.compare(outputs(truth), outputs(truth), truth)
    assert (found.lost, found.gained, found.p_value, found.mean_kl) == (0, 0, 1.0, 0.0)
    low, high = found.drop_interval_points
    assert low < 0 < high


def test_flips_are_counted_by_their_direction():
    truth = np.array([0, 1, 2, 3, 0, 1])
    reference = np.array([0, 1, 2, 0, 1, 2])  # right on the first three
    target = np.array([0, 2, 3, 3, 1, 2])  # loses two, gains one
    found = paired.compare(outputs(target), outputs(reference), truth)
    assert (found.lost, found.gained) == (2, 1)
    both = crosstab(reference == truth, target == truth).count
    assert both[1, 0] == found.lost
    assert both[0, 1] == found.gained


def test_mcnemar_by_hand():
    # All of 6 flips in one direction: 2 · (1/2)^6.
    assert paired.mcnemar_exact(6, 0) == pytest.approx(2 / 64)
    assert paired.mcnemar_exact(0, 6) == pytest.approx(2 / 64)
    assert paired.mcnemar_exact(5, 5) == pytest.approx(1)


@pytest.mark.parametrize(
    ("images", "lost", "gained"),
    [(10_000, 0.03, 0.02), (10_000, 0.005, 0.005), (1_000, 0.10, 0.02), (359, 0.04, 0.02)],
)
def test_the_interval_covers_the_true_drop_in_about_95_of_100_cases(images, lost, gained):
    generator = np.random.default_rng(3)
    covered = 0
    for down, up, _ in generator.multinomial(images, (lost, gained, 1 - lost - gained), size=2000):
        low, high = paired.drop_interval(int(down), int(up), images)
        covered += low <= 100 * (lost - gained) <= high
    assert 0.93 <= covered / 2000 <= 0.97


def test_a_drop_of_one_point_with_five_percent_flips_is_found():
    generator = np.random.default_rng(4)
    flips = generator.multinomial(10_000, (0.03, 0.02, 0.95), size=300)
    found = sum(paired.mcnemar_exact(int(down), int(up)) < 0.05 for down, up, _ in flips)
    assert found / 300 >= 0.9


def test_the_resolvable_drop_is_found_with_its_power():
    images, flips = 10_000, 500
    drop = paired.resolvable_drop(flips, images) / 100
    down = (flips / images + drop) / 2
    generator = np.random.default_rng(5)
    cases = generator.multinomial(images, (down, flips / images - down, 1 - flips / images), size=1000)
    power = sum(paired.mcnemar_exact(int(lost), int(gained)) < 0.05 for lost, gained, _ in cases) / 1000
    assert power == pytest.approx(0.8, abs=0.05)


def test_divergence_is_scipys():
    generator = np.random.default_rng(6)
    p, q = (generator.dirichlet(np.ones(5), 30).astype(np.float32) for _ in range(2))
    assert paired.mean_kl(p, q) == pytest.approx(float(entropy(p, q, axis=1).mean()), rel=1e-4)


def test_a_model_that_collapsed_is_seen():
    truth = np.arange(8) % 4
    found = paired.compare(outputs(np.zeros(8, np.int64)), outputs(truth), truth)
    assert found.classes_never_answered == 3


def test_outputs_of_another_shape_are_a_callers_mistake():
    with pytest.raises(ValueError, match="of one shape"):
        paired.compare(outputs([0, 1]), outputs([0, 1], classes=3), np.array([0, 1]))


def test_answers_that_are_no_numbers_are_wrong_and_everything_stays_a_number():
    truth = np.arange(8) % 4
    found = paired.compare(np.full((8, 4), np.nan, np.float32), outputs(truth), truth)
    assert (found.lost, found.gained, found.strict_top1, found.optimistic_top1) == (8, 0, 0.0, 0.0)
    assert found.largest_probability_difference == 1.0
    assert np.isfinite([found.mean_kl, found.target_ece]).all()


COUNTS = strategies.integers(0, 400)
SHARES = strategies.floats(0, 1)


@given(COUNTS, COUNTS)
def test_mcnemar_is_scipys_binomial_test(lost, gained):
    expected = binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
    assert paired.mcnemar_exact(lost, gained) == pytest.approx(expected, rel=1e-9)


@given(COUNTS, COUNTS, strategies.integers(0, 10_000))
def test_the_interval_holds_the_estimate_and_swapping_the_sides_turns_it_round(lost, gained, rest):
    images = lost + gained + rest
    low, high = paired.drop_interval(lost, gained, images)
    shrunk = 100 * (lost - gained) / (images + 2)  # the estimate with a picture added to each kind
    assert low <= shrunk <= high
    assert -100 <= low <= high <= 100
    turned = paired.drop_interval(gained, lost, images)
    assert turned == pytest.approx((-high, -low))
    assert paired.mcnemar_exact(lost, gained) == paired.mcnemar_exact(gained, lost)


@given(COUNTS, COUNTS, strategies.integers(0, 10_000), SHARES, SHARES)
def test_more_confidence_makes_the_interval_wider(lost, gained, rest, one, other):
    less, more = sorted(min(max(each, 0.01), 0.99) for each in (one, other))
    narrow = paired.drop_interval(lost, gained, lost + gained + rest, confidence=less)
    wide = paired.drop_interval(lost, gained, lost + gained + rest, confidence=more)
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@given(strategies.lists(SHARES, min_size=1, max_size=30))
def test_holm_never_lowers_a_p_value_keeps_their_order_and_corrects_the_smallest_for_all(values):
    p_values = np.array(values)
    adjusted = paired.holm(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()
    assert adjusted[p_values.argmin()] == pytest.approx(min(1, len(values) * min(values)))
    # Never laxer than Bonferroni allows, never stricter than it demands.
    assert (adjusted <= np.minimum(1, p_values * len(values)) + 1e-12).all()


def test_holm_by_hand():
    # 0.01·4, 0.02·3, 0.03·2, 0.5·1
    assert paired.holm(np.array([0.03, 0.01, 0.5, 0.02])) == pytest.approx([0.06, 0.04, 0.5, 0.06])
