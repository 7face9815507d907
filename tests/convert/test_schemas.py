import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the train extra (scipy)")
pytest.importorskip("jsonschema", reason="needs the dev extra (jsonschema)")
import jsonschema
import msgspec

from edgeproof.convert import schemas, verification
from edgeproof.convert.gates import Gates
from edgeproof.convert.verification import Evidence
from edgeproof.runtime import evaluation, publishing

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("name", schemas.PUBLISHED)
def test_the_published_schema_is_that_of_the_code(name):
    expected = publishing.schema(schemas.PUBLISHED[name])
    assert (FOLDER / f"{name}.schema.json").read_bytes() == expected, "run `make schemas`"


def test_what_verify_finds_fits_its_schema_also_where_nothing_is_a_number(tiny_model_path, tiny_pictures):
    evidence = Evidence(tiny_pictures, np.eye(4, dtype=np.float32)[tiny_pictures.classes][:, ::-1].copy())
    summary = verification.verify([tiny_model_path], evidence, Gates(max_drop=0, significance=0.05))
    assert summary.results[0].explanations
    check("verification", {"schema": 1, "verification": summary})
    broken = verification.judged(
        np.full((40, 4), np.nan, np.float32), evidence, Gates(max_drop=0), file="f", recipe="int8", content=b""
    )
    check("verification", {"schema": 1, "verification": msgspec.structs.replace(summary, results=(broken,))})


def test_what_evaluate_finds_fits_its_schema(tiny_model_path, tiny_pictures):
    few = tiny_pictures.take([0, 10])  # two classes without pictures
    check("evaluation", {"schema": 1, "evaluation": evaluation.evaluate_file(tiny_model_path, few)})


def test_a_document_with_a_part_missing_does_not_fit():
    with pytest.raises(jsonschema.ValidationError, match="'results' is a required property"):
        check("verification", {"schema": 1, "verification": {"model": "m", "max_drop": 1.0}})


def test_the_schemas_are_written_where_they_are_asked_for(tmp_path):
    publishing.write(schemas.PUBLISHED, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"verification.schema.json", "evaluation.schema.json"}


def check(name, document):
    """Raise where a document, as it is printed, does not fit the published schema."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
    jsonschema.validate(json.loads(msgspec.json.encode(document)), schema)
