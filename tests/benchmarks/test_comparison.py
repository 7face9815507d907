import pytest

from edgeproof.benchmarks.comparison import METRICS, REQUIRED, Decision, metrics, percent, status
from edgeproof.runtime import ConfigError


def decision(verdict, *, required=True, undecided=False, interval=(-1.0, 1.0)):
    return Decision(
        file="f", metric="p50", unit="ms", verdict=verdict, required=required, undecided=undecided, interval=interval
    )


def test_a_regression_counts_before_what_cannot_be_told():
    doubt = decision("cannot tell", undecided=True)
    assert status([doubt, decision("regression")], ["missing.tflite"]) == 1
    assert status([doubt, decision("no difference")], []) == 2
    assert status([decision("improvement"), decision("no difference")], []) == 0


def test_a_regression_counts_also_where_it_is_not_required():
    assert status([decision("regression", required=False)], []) == 1


def test_doubt_counts_only_about_a_required_metric_that_may_be_worse():
    assert status([decision("cannot tell", required=False, undecided=True)], []) == 0
    assert status([decision("cannot tell", undecided=False)], []) == 0


def test_a_missing_file_cannot_be_told():
    assert status([decision("no difference")], ["missing.tflite"]) == 2


def test_a_difference_is_an_interval_without_nothing():
    assert decision("cannot tell", interval=(0.1, 2.0)).differs
    assert not decision("cannot tell", interval=(-0.1, 2.0)).differs
    assert not decision("cannot tell", interval=None).differs


def test_metrics_are_read_in_their_own_order():
    assert metrics("size, p50,") == ("p50", "size")
    assert set(REQUIRED) < set(METRICS)


@pytest.mark.parametrize(("text", "told"), [("p50,speed", "unknown 'speed'"), (" ,", "no metric")])
def test_unknown_metrics_are_refused_with_what_there_is(text, told):
    with pytest.raises(ConfigError, match=rf"{told}\. Give some of p10, p50"):
        metrics(text)


@pytest.mark.parametrize(("text", "value"), [("5%", 5.0), ("5 %", 5.0), ("0.5", 0.5), ("0%", 0.0)])
def test_a_percentage_may_have_its_sign(text, value):
    assert percent(text, "--fail-on") == value


@pytest.mark.parametrize("text", ["-1%", "five", "", "nan", "inf"])
def test_what_is_no_percentage_is_refused(text):
    with pytest.raises(ConfigError, match="expected a percentage of at least 0, such as 5%"):
        percent(text, "--fail-on")
