import json
from pathlib import Path

import pytest

pytest.importorskip("jsonschema", reason="needs the dev extra (jsonschema)")
import jsonschema
import msgspec

from edgeproof.benchmarks import schemas
from edgeproof.benchmarks.compare import compare
from edgeproof.benchmarks.merging import Merged
from edgeproof.runtime import publishing

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("name", schemas.PUBLISHED)
def test_the_published_schema_is_that_of_the_code(name):
    expected = publishing.schema(schemas.PUBLISHED[name])
    assert (FOLDER / f"{name}.schema.json").read_bytes() == expected, "run `make schemas`"


def test_a_report_of_one_machine_and_of_several_fits_its_schema(make_report):
    check("report", make_report())
    check("report", make_report(judged=False))
    check("machines", Merged(reports=(make_report(), make_report())))


def test_a_comparison_fits_its_schema_also_where_nothing_was_judged(make_report):
    report = make_report()
    check("comparison", compare(report, report))
    other = msgspec.structs.replace(report.environment, cpu="Other CPU")
    check("comparison", compare(report, msgspec.structs.replace(report, environment=other)))


def test_a_document_with_a_part_missing_does_not_fit(make_report):
    document = msgspec.to_builtins(make_report())
    del document["environment"]
    with pytest.raises(jsonschema.ValidationError, match="'environment' is a required property"):
        check("report", document)


def test_the_schemas_are_written_where_they_are_asked_for(tmp_path):
    publishing.write(schemas.PUBLISHED, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.schema.json" for name in schemas.PUBLISHED}


def check(name, document):
    """Raise where a document, as it is printed, does not fit the published schema."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(msgspec.json.encode(document)), schema)
