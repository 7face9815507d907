import pytest
from msgspec.structs import replace

from edgeproof.benchmarks import matching
from edgeproof.runtime import DataError


def renamed(report, *names):
    return replace(report, files=tuple(replace(f, name=n) for f, n in zip(report.files, names, strict=True)))


def told(found):
    return [(old.name, new.name, by) for old, new, by in found]


def test_files_of_one_name_are_matched_whatever_their_order(make_report):
    report = make_report()
    other = replace(report, files=report.files[::-1])
    assert told(matching.matched(report, other)) == [
        ("tiny-float32.tflite", "tiny-float32.tflite", "name"),
        ("tiny-int8.tflite", "tiny-int8.tflite", "name"),
    ]


def test_renamed_files_are_matched_by_their_recipe(make_report):
    report = make_report()
    found = matching.matched(report, renamed(report, "new-float32.tflite", "new-int8.tflite"))
    assert told(found) == [
        ("tiny-float32.tflite", "new-float32.tflite", "recipe"),
        ("tiny-int8.tflite", "new-int8.tflite", "recipe"),
    ]


def test_a_recipe_that_is_there_twice_or_unknown_matches_nothing(make_report):
    report = make_report()
    twins = replace(report, files=tuple(replace(file, recipe="int8") for file in report.files))
    with pytest.raises(DataError, match=r"No file of one report is in the other: tiny.*; a, b\. Compare"):
        matching.matched(twins, renamed(twins, "a", "b"))
    unknown = replace(report, files=tuple(replace(file, recipe="unknown") for file in report.files))
    with pytest.raises(DataError, match="No file"):
        matching.matched(unknown, renamed(unknown, "a", "b"))


def test_the_only_file_of_each_report_is_matched(make_report):
    report = make_report()
    first, second = (replace(report, files=(file,)) for file in report.files)
    assert told(matching.matched(first, second)) == [("tiny-float32.tflite", "tiny-int8.tflite", "being alone")]


def test_the_files_of_one_report_are_held_against_the_first(make_report):
    report = make_report()
    assert told(matching.in_turn(report)) == [("tiny-float32.tflite", "tiny-int8.tflite", "order")]
    with pytest.raises(DataError, match=r"holds tiny-float32\.tflite alone"):
        matching.in_turn(replace(report, files=report.files[:1]))


@pytest.mark.parametrize("change", [{"cpu": "B"}, {"cores": 8}, {"usable_cores": 1}, {"governor": "powersave"}])
def test_another_machine_is_one_of_another_processor_core_count_or_governor(make_report, change):
    machine = make_report().environment
    assert matching.another_machine(machine, machine) == ""
    assert str(next(iter(change.values()))) in matching.another_machine(machine, replace(machine, **change))


def test_other_versions_are_the_same_machine_but_are_told(make_report):
    report = make_report()
    newer = replace(report.environment, packages={"numpy": "3"}, python="CPython 3.13", memory_mb=8000)
    other = replace(report, environment=newer, data_name="shapes")
    assert matching.another_machine(report.environment, newer) == ""
    assert matching.notes(report, other) == (
        "numpy 2 and 3",
        "python CPython 3.12 and CPython 3.13",
        "pictures: colours and shapes",
    )
    assert matching.notes(report, report) == ()
