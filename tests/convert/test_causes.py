import re
from dataclasses import replace

import numpy as np
import pytest

from edgeproof.convert.causes import NEGLIGIBLE, Case, cause, sentence, undone
from edgeproof.convert.equalisation import Spans
from edgeproof.convert.fidelity import Fidelity

CASE = Case(
    name="block_1_expand",
    activation="NONE",
    gives_answers=False,
    damage=0.1,
    blame=0.1,
    variants={"weights": 0.05, "output": 0.05},
    moved={},
    fidelity=Fidelity(sqnr_db=20.0, cosine=0.99, mean_shift=0.04, saturated=0.003),
    spans=Spans(np.array([-1.0, 0.0, -2.0]), np.array([1.0, 0.0, 30.0])),
    limits=(-2.0, 30.0),
    weights=np.array([[0.5, -0.5], [100.0, 0.0], [2.0, 1.0]]),
    input_reach=4.0,
)


def of(blame=0.1, moved=(), **variants):
    names = {name.replace("_", " "): value for name, value in variants.items()}
    return replace(CASE, damage=0.1, blame=blame, variants=names, moved=dict(moved))


CASES = {
    "saturation": of(weights=0.0, output=0.1, unsaturated=0.01),
    "channels": of(weights=0.0, output=0.1, equalised_output=0.01),
    "bias": of(weights=0.1, output=0.0, bias_corrected=0.01),
    "offsets": of(weights=0.0, output=0.1, centred=0.01),
    "weights": of(weights=0.09, output=0.01, bias_corrected=0.09),
    "steps": of(weights=0.0, output=0.1, equalised_output=0.09, centred=0.12),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_the_one_whose_remedy_takes_most_of_the_damage_away(name):
    assert cause(CASES[name]) == name


def test_hardly_any_damage_has_no_cause():
    case = replace(CASES["channels"], blame=0.9 * NEGLIGIBLE)
    assert cause(case) == "none"
    assert sentence(case) == "block_1_expand: nothing wrong."


def test_damage_in_the_next_layers_weights_that_equalising_undoes_is_one_of_channels():
    case = of(blame=0.4, moved={"dense": 0.3}, weights=0.0, output=0.1, equalised_output=0.1)
    assert cause(case) == "channels"
    assert "The weights of dense that make up for it" in sentence(case)
    assert "The weights" not in sentence(CASES["channels"])


def test_weights_that_equalising_the_layer_before_would_mend_are_not_the_cause():
    case = of(blame=0.02, weights=0.09, equalised_weights=0.005, output=0.02, equalised_output=0.001)
    assert undone(case)["weights"] == pytest.approx(0.005)
    assert cause(case) == "channels"


def test_without_one_remedy_for_most_the_best_is_named():
    assert cause(of(weights=0.03, output=0.07, equalised_output=0.03)) == "channels"
    assert cause(of(weights=0.01, output=0.08, equalised_output=0.07)) == "steps"


def test_of_an_operator_without_constants_all_damage_is_its_outputs():
    assert cause(replace(of(equalised_output=0.01), weights=None)) == "channels"
    assert cause(replace(of(), weights=None)) == "steps"


FACTS = {
    "saturation": ["0.30% of its values lie outside the -2 to 30", "min-max", "90% of the damage"],
    "channels": ["from 1 to 30, half of them no further than 15.5", "steps of 0.13", "cross-layer equalisation"],
    "bias": ["by 4.0% of their standard deviation", "Remedy: bias correction, which takes 90%"],
    "offsets": ["between 0 and 14", "span only 2", "moves offsets into the biases"],
    "weights": ["gains from 1 to 3", "does not help", "rounding by output error, else leave it in float"],
    "steps": ["256 steps from -2 to 30, of 0.13 each", "int16x8"],
}


@pytest.mark.parametrize("name", FACTS)
def test_the_sentence_names_the_layer_the_facts_and_the_remedy(name):
    told = sentence(CASES[name])
    assert told.startswith("block_1_expand: ")
    assert told.endswith(".")
    assert re.search(r" Remedy: ", told)
    for fact in FACTS[name]:
        assert fact in told


def test_one_step_of_a_weight_is_told_at_the_largest_input_of_its_filter():
    case = replace(CASES["weights"], input_reach=np.array([1.27, 0.0, 12.7]))
    assert "moves an output by up to 0.2 of a range of 32" in sentence(case)
    assert "of ReLU6's 6" in sentence(replace(case, activation="RELU6"))


def test_the_answers_own_steps_are_mended_by_answers_in_float():
    assert "Remedy: answers in float." in sentence(replace(CASES["steps"], gives_answers=True))
