"""Answers of known faults, and of none: what the rules about answers say of them."""

import numpy as np
import pytest

from edgeproof.runtime import contract, modelfile
from edgeproof.runtime.findings import found
from edgeproof.runtime.rules_answers import RULES, Sitting
from edgeproof.runtime.trying import Trial, Verdict

LABELS = tuple("abcdefghij")


def sitting(*, right=0.8, pictures=200, labels=LABELS, seed=0, **changes):
    """Answers to as many pictures of each class, right in a share of cases and else any."""
    draw = np.random.default_rng(seed)
    classes = np.arange(pictures) % len(labels)
    given = np.where(draw.random(pictures) < right, classes, draw.integers(0, len(labels), pictures))
    outputs = np.full((pictures, len(labels)), 0.02, np.float32)
    outputs[np.arange(pictures), given] = 1 - 0.02 * (len(labels) - 1)
    outputs += draw.uniform(0, 1e-4, outputs.shape).astype(np.float32)
    return Sitting(
        **{"labels": labels, "classes": classes, "outputs": outputs, "fed": "0 to 255, RGB", "verdict": None}
        | {"contract": None}
        | changes
    )


def rules_of(sitting):
    return {each.rule: each.evidence for each in found(RULES, sitting)}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("right", [0.35, 0.6, 0.9, 1.0])
def test_nothing_is_found_in_sound_answers(seed, right):
    assert rules_of(sitting(right=right, seed=seed)) == {}


def test_answers_that_are_no_numbers_are_counted():
    one = sitting()
    one.outputs[[3, 5], 2] = np.nan
    assert rules_of(one)["EP701"] == "2 of 200 pictures"


@pytest.fixture
def proved(tiny_int8_path):
    """A contract that proves 94 %."""
    return modelfile.read(tiny_int8_path).contract


def test_fewer_right_answers_than_proved_are_told_and_a_few_fewer_are_not(proved):
    assert isinstance(proved, contract.Contract)
    assert rules_of(sitting(right=0.7, contract=proved))["EP702"].endswith("the contract proves 94.0% on 200")
    assert rules_of(sitting(right=0.93, contract=proved)) == {}


def test_one_answer_to_everything_is_a_collapse():
    one = sitting(right=1.0)
    one.outputs[:150] = one.outputs[7]
    found_ = rules_of(one)
    assert found_["EP703"].startswith("'h' is the answer to")


def test_a_swapped_pair_of_labels_is_named():
    one = sitting(right=0.9, pictures=400)
    swapped = Sitting(one.labels, one.classes, one.outputs[:, [1, 0, *range(2, 10)]], one.fed, None, None)
    said = rules_of(swapped)["EP704"]
    assert "2 labels: 'a' is 'b', 'b' is 'a'" in said


def test_labels_in_reverse_are_named_as_permuted():
    one = sitting(right=0.9, pictures=400)
    reverse = Sitting(one.labels, one.classes, one.outputs[:, ::-1], one.fed, None, None)
    assert rules_of(reverse)["EP704"].startswith("10 labels: 'a' is 'j'")


def verdict(best, used, *, confidence=1.0):
    """A verdict on 200 pictures with these two top-1s, BGR first."""
    trials = (
        Trial(feed="0 to 255, BGR", top1=best, log_likelihood=-0.3),
        Trial(feed="0 to 255, RGB", top1=used, log_likelihood=-2.0),
    )
    return Verdict(images=200, trials=trials, confidence=confidence, input_range=None, better_than_chance=True)


def test_a_far_better_feed_is_told_and_a_slightly_better_one_is_not():
    assert rules_of(sitting(verdict=verdict(0.9, 0.5)))["EP705"].startswith("0 to 255, BGR: top-1 90.0%")
    assert rules_of(sitting(verdict=verdict(0.82, 0.80))) == {}
    assert rules_of(sitting(verdict=verdict(0.9, 0.5, confidence=0.6))) == {}


def test_guesses_are_told_as_guesses():
    assert "EP706" in rules_of(sitting(right=0.0))


def test_ties_are_counted_from_one_in_a_hundred_on():
    one = sitting()
    one.outputs[:10] = 0.1
    assert rules_of(one)["EP707"].startswith("5.0% of 200")
    few = sitting()
    few.outputs[:2] = 0.1
    assert "EP707" not in rules_of(few)


def test_logits_are_no_probabilities():
    one = sitting()
    logits = Sitting(one.labels, one.classes, np.log(one.outputs), one.fed, None, None)
    assert set(rules_of(logits)) == {"EP708"}
