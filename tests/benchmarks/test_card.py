import json
import re

import pytest
from msgspec.structs import replace

from edgeproof.benchmarks import card as cards
from edgeproof.benchmarks.card import Told, card, license_of
from edgeproof.runtime import DataError
from edgeproof.runtime.contract import sha256


@pytest.fixture
def report(make_report, verified):
    made = make_report()
    return replace(made, files=tuple(replace(file, verification=verified) for file in made.files))


def front_matter(text):
    """The lines between the fences, each checked to be YAML of the plain kind that is written here."""
    head, matter, _ = text.split("---\n", 2)
    assert head == ""
    for line in matter.splitlines():
        found = re.fullmatch(r'\s*(?:- )?(?:[a-z_-]+:)?\s*((?:"(?:[^"\\]|\\.)*")|[a-z0-9._-]*)', line)
        assert found, line
        if found[1].startswith('"'):
            json.loads(found[1])
    return matter.splitlines()


def test_the_front_matter_names_the_library_the_task_and_the_metrics(report):
    lines = front_matter(card(report))
    assert lines[:2] == ["library_name: litert", "pipeline_tag: image-classification"]
    assert lines.count("          - type: accuracy") == 2
    assert "            value: 0.9" in lines
    assert '            name: "Top-1, tiny-int8.tflite"' in lines
    assert lines.count("            value: 0.97") == 2  # the same answers of both files
    assert not any(line.startswith(("license", "datasets")) for line in lines)


def test_a_licence_is_named_as_the_hub_names_it(report):
    assert "license: apache-2.0" in front_matter(card(report, Told(license="Apache License 2.0")))
    lines = front_matter(card(report, Told(license="Ours: all of it")))
    assert lines[lines.index("license: other") + 1] == 'license_name: "Ours: all of it"'


def test_data_sets_are_named_only_where_they_are_told(report):
    lines = front_matter(card(report, Told(datasets=("uoft-cs/cifar100",))))
    assert lines[lines.index("datasets:") + 1] == '  - "uoft-cs/cifar100"'
    assert lines.count('          type: "uoft-cs/cifar100"') == 2


def test_text_of_others_cannot_break_out_of_the_front_matter(report):
    evil = replace(report, data_name='x"\nlibrary_name: other\n---')
    lines = front_matter(card(evil, Told(name='a: "b"\n---')))
    assert lines.count("library_name: litert") == 1
    assert "library_name: other" not in lines


def test_the_table_has_size_accuracy_proof_and_latency_with_its_machine(report):
    text = card(report, Told(name="tiny"))
    row = "| tiny-int8.tflite | int8 | 1.00 MB | 60.0 % [44.6–73.7] | 1.00 points | 97.0 % | 1.00 | "
    assert row in text
    assert "# tiny\n" in text
    assert "Latency of one picture with 1 thread on Example CPU, and there alone." in text
    assert "Top-1 on 40 pictures of colours." in text


def test_the_snippet_is_python_that_names_the_smallest_file(report):
    text = card(report)
    snippet = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    compile(snippet, "card", "exec")
    assert 'Classifier("tiny-int8.tflite")' in snippet


def test_a_file_nobody_judged_has_no_metrics(make_report):
    lines = front_matter(card(make_report(judged=False)))
    assert "metrics:" not in lines
    assert "model-index:" not in lines


def test_many_labels_are_cut_short(make_report):
    assert "class 19, and 10 more." in card(make_report(classes=30))
    assert "class 3." in card(make_report(classes=4))


def test_the_licence_is_read_from_a_file_of_the_report_alone(report, tiny_model_path):
    with pytest.raises(DataError, match="is no file of the report"):
        license_of(tiny_model_path, report)
    digest = sha256(tiny_model_path.read_bytes())
    known = replace(report, files=(replace(report.files[0], sha256=digest),))
    assert isinstance(license_of(tiny_model_path, known), str)
    assert cards.LICENCES["apache license 2.0"] == "apache-2.0"
