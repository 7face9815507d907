"""A doctor's report as SARIF 2.1.0, the format in which code hosts take findings of tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from edgeproof.runtime.doctor import Report
from edgeproof.runtime.findings import Finding, Rule

VERSION = "2.1.0"
# More places than this help nobody.
PLACES = 50


def encode(report: Report, rules: Iterable[Rule[Any]], version: str) -> bytes:
    """The report as one SARIF run of all rules; `version` is edgeproof's."""
    known = list(rules)
    numbers = {rule.id: number for number, rule in enumerate(known)}
    driver = {"name": "edgeproof doctor", "version": version, "rules": [_rule(rule) for rule in known]}
    log = {
        "version": VERSION,
        "runs": [
            {
                "tool": {"driver": driver},
                "artifacts": [{"location": {"uri": _uri(report.file)}, "length": report.size_bytes}],
                "results": [_result(finding, numbers[finding.rule], report.file) for finding in report.findings],
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(log), indent=1)


def _rule(rule: Rule[Any]) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(finding: Finding, number: int, file: str) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(file)}}}
    if finding.places:
        location["logicalLocations"] = [{"name": place} for place in finding.places[:PLACES]]
    return {
        "ruleId": finding.rule,
        "ruleIndex": number,
        "level": finding.severity,
        "message": {"text": f"{finding.title}: {finding.evidence}. {finding.remedy}"},
        "locations": [location],
    }


def _uri(file: str) -> str:
    return quote(file.replace("\\", "/"))
