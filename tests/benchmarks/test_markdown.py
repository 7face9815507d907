import msgspec

from edgeproof.benchmarks.markdown import markdown, table
from edgeproof.benchmarks.sections import Table


def test_every_row_of_a_table_has_as_many_cells_as_its_header():
    lines = table(Table("Sizes", ("file", "size"), (("a|b", "1"), ("c\nd", "2")))).splitlines()
    assert lines == ["Sizes", "", "| file | size |", "| --- | --- |", r"| a\|b | 1 |", "| c d | 2 |"]


def test_the_document_holds_tables_machine_and_command(make_report):
    text = markdown(make_report())
    assert "| tiny-int8.tflite | int8 | 1.00 MB | 60.0 %" in text
    assert "Example CPU" in text
    assert "```sh\nedgeproof benchmark tiny-float32.tflite tiny-int8.tflite\n```" in text
    assert "do not predict another's" in text
    assert "synthetic" not in text


def test_synthetic_pictures_are_owned_up_to(make_report):
    assert "Timed with synthetic pictures" in markdown(make_report(judged=False))


def test_what_was_taken_for_granted_is_told(make_report):
    report = make_report()
    foreign = msgspec.structs.replace(report.files[0], assumptions=("channels in the order RGB",))
    text = markdown(msgspec.structs.replace(report, files=(foreign,)))
    assert "- tiny-float32.tflite: channels in the order RGB" in text
    assert "Taken for granted" not in markdown(report)
