import pytest

from edgeproof.benchmarks import decisions
from edgeproof.benchmarks.comparison import Comparison, Decision, Pair, status


def decision(metric="p50", verdict="regression", **more):
    parts = {
        **{"file": "a.tflite", "unit": "ms", "required": True, "old": 1.0, "new": 1.25, "change": 25.0},
        **{"interval": (20.0, 30.0), "threads": 2},
    }
    return Decision(metric=metric, verdict=verdict, **(parts | more))


SIZE = decision("size", "no difference", unit="bytes", old=2e6, new=2e6, change=0.0, interval=(0.0, 0.0), threads=None)
TOP1 = decision(
    *("top-1", "no difference"),
    **{"unit": "share", "old": 0.75, "new": 0.741, "change": -0.9, "interval": (-1.2, -0.6), "threads": None},
)
DOUBT = decision(verdict="cannot tell", undecided=True, interval=(-3.0, 9.0))


def comparison(*found, missing=(), **more):
    parts = {
        **{"old": "old.json", "new": "new.json", "limit_percent": 5.0, "limit_points": 5.0},
        "pairs": (Pair(old="a.tflite", new="a.tflite", by="name"),),
    }
    return Comparison(decisions=found, status=status(found, missing), missing=missing, **(parts | more))


def test_a_row_has_both_figures_the_change_with_its_interval_and_the_decision():
    assert decisions.row(decision()) == (
        *("p50", "2", "1.00 ms", "1.25 ms"),
        *("+25.0 % [+20.0 to +30.0]", "regression"),
    )
    assert decisions.row(SIZE) == ("size", "", "2.00 MB", "2.00 MB", "+0.0 %", "no difference")
    assert decisions.row(TOP1)[2:5] == ("75.00 %", "74.10 %", "-0.90 points [-1.20 to -0.60]")


def test_what_was_not_judged_says_why():
    refused = decision(verdict="cannot tell", change=None, interval=None, reason="another machine", undecided=True)
    assert decisions.row(refused)[4:] == ("another machine", "cannot tell")
    assert decisions.row(decision(verdict="cannot tell", old=None, change=None, interval=None))[2:5] == (
        *("–", "1.25 ms", "–"),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"undecided": True}, "cannot tell"),
        ({"undecided": True, "required": False}, "(cannot tell)"),
        ({"undecided": False}, "no regression"),
    ],
)
def test_doubt_that_does_not_count_stands_in_brackets(changes, words):
    assert decisions.words(decision(verdict="cannot tell", **changes)) == words


def test_the_sentence_names_what_got_worse():
    assert decisions.sentence(comparison(decision(), SIZE)) == "Regression beyond 5 %: p50 of a.tflite with 2 threads."
    assert decisions.sentence(comparison(SIZE)) == "No regression beyond 5 %."
    other = comparison(TOP1, limit_points=0.5)
    assert decisions.sentence(other) == "No regression beyond 5 %, or 0.5 points of a share."


def test_the_sentence_says_why_nothing_can_be_told():
    unsteady = decision("p10", "cannot tell", undecided=True, reason="unsteady")
    told = decisions.sentence(comparison(DOUBT, unsteady, missing=("b.tflite",)))
    assert told.endswith(
        "5 %: b.tflite is not in the new report; p50 of a.tflite (the interval is too wide); "
        "p10 of a.tflite (unsteady)."
    )
    assert "both files in one run" in decisions.remarks(comparison(DOUBT))[0]
    in_turn = (Pair(old="b.tflite", new="a.tflite", by="order"),)
    assert decisions.remarks(comparison(DOUBT, pairs=in_turn)) == (decisions.LONGER,)


def test_another_machine_is_told_once():
    refused = decision(verdict="cannot tell", change=None, interval=None, reason="another machine", undecided=True)
    found = comparison(refused, machine="cpu A and B", notes=("numpy 1 and 2",))
    assert decisions.sentence(found).count("another machine") == 1
    assert decisions.remarks(found) == (
        "Another machine (cpu A and B): latency and memory are not judged, size and answers are.",
        "Also different: numpy 1 and 2.",
    )


def test_markdown_is_githubs_with_the_decision_as_its_heading():
    text = decisions.markdown(comparison(decision(), SIZE))
    assert text.startswith("## Regression\n\nRegression beyond 5 %: p50")
    assert "| Metric | Threads | Old | New | Change [95 %] | Decision |\n| --- |" in text
    assert "| p50 | 2 | 1.00 ms | 1.25 ms | +25.0 % [+20.0 to +30.0] | regression |" in text
    assert decisions.markdown(comparison(SIZE)).startswith("## No regression")
    assert decisions.markdown(comparison(DOUBT)).startswith("## Cannot tell")


def test_files_of_two_names_say_by_what_they_were_matched():
    pair = Pair(old="b.tflite", new="a.tflite", by="recipe")
    assert decisions.tables(comparison(SIZE, pairs=(pair,)))[0].caption == "b.tflite → a.tflite, matched by recipe"
