from pathlib import Path

import msgspec
import pytest

from edgeproof.runtime import doctor, inspection, publishing, schemas, testset

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("name", schemas.PUBLISHED)
def test_a_published_schema_is_the_one_of_the_structs(name):
    # If this fails: python -m edgeproof.runtime.schemas docs/schemas
    assert (PUBLISHED / f"{name}.schema.json").read_bytes() == publishing.schema(schemas.PUBLISHED[name])


def test_schemas_are_written_by_name(tmp_path):
    publishing.write(schemas.PUBLISHED, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.schema.json" for name in schemas.PUBLISHED}


def test_what_is_printed_has_the_fields_that_a_schema_asks_for(tiny_model_path):
    printed = {"doctor": doctor.examine(tiny_model_path), "inspect": inspection.inspect(tiny_model_path)}
    for name, found in printed.items():
        schema = msgspec.json.decode(publishing.schema(schemas.PUBLISHED[name]))
        root = schema["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        document = msgspec.json.decode(msgspec.json.encode(found))
        assert set(root["required"]) <= set(document) <= set(root["properties"])
        assert document["schema"] == root["properties"]["schema"]["default"] == 1


def test_what_is_printed_validates(tiny_model_path, tiny_pictures, tmp_path):
    jsonschema = pytest.importorskip("jsonschema", reason="needs the dev extra (jsonschema)")
    testset.write(tmp_path / "test.npz", tiny_pictures)
    sound, ours = doctor.examine(tiny_model_path, data=tmp_path, try_ranges=True), inspection.inspect(tiny_model_path)
    tiny_model_path.write_bytes(tiny_model_path.read_bytes()[:-9])
    cut, damaged = doctor.examine(tiny_model_path), inspection.inspect(tiny_model_path)
    assert sound.answers is not None
    for name, documents in {"doctor": (sound, cut), "inspect": (ours, damaged)}.items():
        schema = msgspec.json.decode(publishing.schema(schemas.PUBLISHED[name]))
        jsonschema.Draft202012Validator.check_schema(schema)
        for each in documents:
            jsonschema.validate(msgspec.json.decode(msgspec.json.encode(each)), schema)
