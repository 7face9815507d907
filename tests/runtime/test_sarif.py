import json

import pytest

from edgeproof.runtime import doctor, sarif


@pytest.fixture
def log(bases, tmp_path):
    """The log of a file with an error, a warning and a note."""
    graph = bases.floats()
    values = graph.constant(1).copy()
    values[3] = 0
    graph.set_constant(1, values)
    path = tmp_path / "a file.tflite"
    path.write_bytes(bases.foreign(graph, names=("red", "green", "blue")))
    report = doctor.examine(path)
    assert {each.severity for each in report.findings} == {"error", "warning", "note"}
    return json.loads(sarif.encode(report, doctor.RULES, "1.2.3"))


def test_a_log_is_one_run_of_all_rules(log):
    assert log["version"] == "2.1.0"
    driver = log["runs"][0]["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("edgeproof doctor", "1.2.3")
    assert [rule["id"] for rule in driver["rules"]] == [rule.id for rule in doctor.RULES]
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")


def test_each_result_points_to_its_rule_and_to_its_places(log):
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    results = {each["ruleId"]: each for each in log["runs"][0]["results"]}
    assert set(results) == {"EP208", "EP502", "EP112"}
    for name, each in results.items():
        assert rules[each["ruleIndex"]]["id"] == name
        assert each["level"] == rules[each["ruleIndex"]]["defaultConfiguration"]["level"]
        assert each["message"]["text"]
        uri = each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.endswith("a%20file.tflite")
    assert "CONV_2D" in results["EP502"]["locations"][0]["logicalLocations"][0]["name"]
    assert "logicalLocations" not in results["EP112"]["locations"][0]
