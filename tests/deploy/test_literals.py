"""Any text comes back from a literal of any language."""

import ast
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.deploy import literals

SHORT = {"n": "\n", "r": "\r", "t": "\t"}


def read(literal):
    """A Kotlin or Swift literal as its compiler reads it."""
    assert literal[0] == literal[-1] == '"'

    def sign(found):
        point, unit, other = found.groups()
        return chr(int(point or unit, 16)) if point or unit else SHORT.get(other, other)

    units = re.sub(r"\\u\{([0-9a-f]+)\}|\\u([0-9a-f]{4})|\\(.)", sign, literal[1:-1])
    return units.encode("utf-16", "surrogatepass").decode("utf-16")


def read_cpp(literal):
    """A C++ literal as a compiler reads it."""
    found = re.sub(r"\\([0-7]{3})|\\(.)", lambda each: chr(int(each[1], 8)) if each[1] else each[2], literal[1:-1])
    return found.encode("latin-1").decode()


texts = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=60, deadline=None)
@given(texts)
def test_every_text_comes_back_in_every_language(text):
    assert ast.literal_eval(literals.python(text)) == text
    assert read_cpp(literals.cpp(text)) == text
    assert read(literals.kotlin(text)) == text
    assert read(literals.swift(text)) == text


def test_no_label_starts_an_expression(nasty):
    for text in nasty:
        assert not re.search(r"(?<!\\)(\\\\)*\$", literals.kotlin(text))
        assert not re.search(r"(?<!\\)(\\\\)*\\\(", literals.swift(text))
        assert "??/" not in literals.cpp(text)
        assert literals.cpp(text).isascii()


@pytest.mark.parametrize("value", [1.0, 1 / 256, 0.00390625, 1e-9, 3])
def test_a_number_has_a_point_or_an_exponent_and_reads_back(value):
    text = literals.number(value)
    assert float(text) == value
    assert set(".e") & set(text)


def test_bytes_become_lines_of_numbers():
    assert literals.rows(bytes([0, 255, 7]), 2) == "    0, 255,\n    7,"
