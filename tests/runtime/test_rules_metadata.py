"""What the rules about metadata say in numbers, and where they must be silent. Each rule's defect: tests/seeded."""

import pytest

from edgeproof.runtime import contract
from edgeproof.runtime.rules_metadata import RULES


def test_an_integer_input_needs_no_normalisation(bases, rules_of):
    assert rules_of(RULES, bases.integers().packed()) == {}


def test_a_contract_says_the_range_too(bases, rules_of):
    assert "EP201" not in rules_of(RULES, bases.ours(bases.floats()))


@pytest.mark.parametrize(("mean", "std", "scale", "fits"), [
    ((127.5,), (127.5,), 1 / 127.5, True),
    ((0.0,), (255.0,), 1 / 127.5, False),
    ((127.5,), (127.5,), 1.0, False),
])  # fmt: skip
def test_metadata_fit_a_quantised_input_where_both_give_the_same_numbers(bases, rules_of, mean, std, scale, fits):
    graph = bases.integers()
    graph.tensors[graph.inputs[0]].quantization.scale = [scale]
    graph.tensors[graph.inputs[0]].quantization.zeroPoint = [128 if scale < 1 else 0]
    assert ("EP203" not in rules_of(RULES, bases.foreign(graph, mean=mean, std=std))) == fits


def test_a_mean_for_each_channel_is_possible_and_two_are_not(bases, rules_of):
    graph = bases.floats
    assert "EP202" not in rules_of(RULES, bases.foreign(graph(), mean=(1, 2, 3), std=(1, 1, 1)))
    assert "2 means and 2 deviations for 3 channels" in rules_of(
        RULES, bases.foreign(graph(), mean=(1, 2), std=(1, 1))
    )["EP202"]  # fmt: skip


def test_files_that_are_missing_with_a_damaged_archive_are_told_once(bases, rules_of):
    assert "EP207" not in rules_of(RULES, bases.foreign(bases.floats())[:-30])


def test_the_size_in_the_metadata_is_held_against_the_input_as_well(bases, rules_of):
    assert rules_of(RULES, bases.foreign(bases.floats(), size=(224, 224))) == {
        "EP214": "metadata: 224×224; the input takes 16×16"
    }
    # Writers that do not know the size leave it zero.
    assert rules_of(RULES, bases.foreign(bases.floats(), size=(0, 0))) == {}


def test_a_contract_of_another_output_is_told_in_its_steps(bases, rules_of):
    wrong = contract.TensorFormat(name="x", shape=(1, 4), dtype="uint8", scale=1 / 255, zero_point=3)
    assert "contract uint8 in steps of 0.00392157 from 3, graph uint8 in steps of 0.00390625 from 0" in rules_of(
        RULES, bases.ours(bases.integers(), output=wrong)
    )["EP215"]  # fmt: skip
