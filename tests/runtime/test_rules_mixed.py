"""Where the rules about floats beside integers must be silent. Each rule's defect: test_doctor.py."""

from edgeproof.runtime.rules_mixed import RULES


def test_float_arithmetic_between_an_integer_input_and_output_is_no_island(make_flatbuffer, rules_of):
    assert rules_of(RULES, make_flatbuffer(quantised=True)) == {}


def test_a_purely_float_and_a_purely_integer_graph_have_nothing_mixed(bases, rules_of):
    assert rules_of(RULES, bases.floats().packed()) == {}
    assert rules_of(RULES, bases.integers().packed()) == {}
