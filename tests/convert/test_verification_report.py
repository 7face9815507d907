import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the train extra (scipy)")
from msgspec import structs

from edgeproof.convert import verification, verification_report
from edgeproof.convert.explanations import Explanation
from edgeproof.convert.gates import Gates
from edgeproof.convert.verification import Evidence, Summary

EYE = np.eye(4, dtype=np.float32)


@pytest.fixture
def summary(tiny_pictures):
    """One file that passed, and one that takes every red picture for a green one."""
    reference = EYE[tiny_pictures.classes]
    evidence = Evidence(tiny_pictures, reference)
    results = tuple(
        verification.judged(
            target, evidence, Gates(max_drop=1.5), file=f"m-{name}.tflite", recipe=name, content=bytes(1234567)
        )
        for name, target in (
            ("float32", reference),
            ("int8", EYE[np.where(tiny_pictures.classes, tiny_pictures.classes, 1)]),
        )
    )
    return Summary(model="m", max_drop=1.5, results=results)


def test_the_summary_is_a_table_for_people(summary):
    text = verification_report.markdown(summary)
    assert "# Verification of m" in text
    assert "40 test pictures" in text
    assert "Limit: a drop of 1.5 points." in text
    first, second = (line for line in text.splitlines() if line.startswith("| `"))
    assert first.startswith("| `m-float32.tflite` | 1,234,567 | 100.00% (")
    assert "| +0.00 (" in first
    assert first.endswith("| 100.00% | 0 | yes |")
    assert "| +25.00 (" in second
    assert second.endswith("| 75.00% | 0 | **no** |")
    columns = {line.count(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert len(columns) == 1
    assert "FAILED max-drop: the drop of 25.00 is beyond 1.5 points" in text


def test_what_fell_grew_and_vanished_is_named(summary):
    assert list(verification_report.findings(summary.results[0])) == []
    fell, grew, gone = verification_report.findings(summary.results[1])
    assert fell == "1 class fell significantly: red 10→0 of 10"
    assert grew == "taken for another class significantly more often: red as green 0→10"
    assert gone == "1 class never answered any more: red"


def test_the_likely_cause_stands_first_with_its_evidence_and_its_remedy(summary):
    cause = Explanation(
        id="channel-order",
        sentence="its channels are in the order BGR",
        remedy="Export again.",
        images=40,
        agreement_before=0.75,
        agreement_after=1.0,
    )
    result = structs.replace(summary.results[1], explanations=(cause,))
    assert list(verification_report.causes(result))[1] == (
        "cause 1, channel-order: its channels are in the order BGR (same answers on 40 pictures: 75.0% to 100.0%). "
        "Export again."
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"min_agreement": 0.97}, "Limit: a drop of 1.5 points; at least 97.00% same answers."),
        ({"significance": 0.05}, "Limit: a drop of 1.5 points, judged by the 95% interval (doubt fails)."),
        (
            {"significance": 0.1, "doubt": "pass"},
            "Limit: a drop of 1.5 points, judged by the 90% interval (doubt passes).",
        ),
    ],
)
def test_the_gates_are_told_as_given(summary, given, expected):
    assert verification_report.limits(structs.replace(summary, **given)) == expected
