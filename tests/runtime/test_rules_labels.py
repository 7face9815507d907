"""Which labels are suspicious, and which are not."""

import pytest

from edgeproof.runtime.rules_labels import RULES


@pytest.mark.parametrize(("names", "rules"), [
    (("red", "green", "blue", "grey"), set()),
    (("Background", "green", "blue", "grey"), {"EP209"}),
    (("???", "green", "blue", "grey"), {"EP209"}),
    (("green", "background", "blue", "grey"), set()),
    (("0", "1", "2", "3"), {"EP210"}),
    (("0", "1", "10", "2"), {"EP210", "EP211"}),
    (("class_0", "class_1", "class_10", "class_2"), {"EP211"}),
    (("class_0", "class_1", "class_2", "class_10"), set()),
    (("a10", "b1", "b2", "c1"), set()),
    (("red", "red", "blue", "grey"), {"EP212"}),
    (("red", "", "blue", "grey"), {"EP213"}),
    ((" red", "green", "blue", "grey"), {"EP213"}),
    (("red", "green", "blue"), {"EP208"}),
])  # fmt: skip
def test_labels_are_suspicious_for_one_reason_each(bases, rules_of, names, rules):
    assert set(rules_of(RULES, bases.foreign(bases.floats()), "\n".join(names).encode())) == rules


def test_one_output_more_than_labels_hints_at_a_background_class(bases, rules_of):
    said = rules_of(RULES, bases.foreign(bases.floats(), names=("red", "green", "blue")))["EP208"]
    assert said.startswith("3 labels for 4 outputs; one output more often is a background class")


def test_a_model_that_is_no_classifier_needs_no_labels(bases, rules_of):
    graph = bases.floats()
    graph.outputs = [graph.given(0)]
    assert rules_of(RULES, graph.packed(), b"person\n") == {}
