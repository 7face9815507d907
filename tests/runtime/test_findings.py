import pytest

from edgeproof.runtime.findings import Rule, Seen, found, listed


def test_a_list_says_how_many_more_there_are():
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert listed([]) == ""


def test_each_thing_that_a_rule_sees_is_a_finding_with_the_rules_words():
    rule = Rule("EP999", "warning", "Too large", "Make it smaller.", lambda limit: [Seen("9 > 8", ("a",))] * limit)
    findings = found([rule], 2)
    assert len(findings) == 2
    assert (findings[0].rule, findings[0].severity, findings[0].title) == ("EP999", "warning", "Too large")
    assert (findings[0].evidence, findings[0].places, findings[0].remedy) == ("9 > 8", ("a",), "Make it smaller.")
    assert found([rule], 0) == []


def test_a_rule_that_stumbles_over_what_is_tolerated_says_nothing_and_stops_no_other():
    broken = Rule("EP998", "error", "Broken", "Mend it.", lambda limits: [Seen(str(limits[5]))])
    whole = Rule("EP999", "note", "Whole", "Leave it.", lambda limits: [Seen("seen")])
    assert [each.rule for each in found([broken, whole], [], tolerated=(LookupError,))] == ["EP999"]
    with pytest.raises(IndexError):
        found([broken, whole], [])
