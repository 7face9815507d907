import pytest

from edgeproof.benchmarks.sections import Section, Table


def test_a_row_of_another_length_than_the_header_is_refused():
    with pytest.raises(ValueError, match="Expected 2 cells in 'Sizes'"):
        Table("Sizes", ("file", "size"), (("a", "1"), ("b",)))


def test_a_section_needs_no_more_than_a_title():
    section = Section("Training")
    assert (section.text, section.figures, section.table) == ((), (), None)
