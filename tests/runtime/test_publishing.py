import msgspec

from edgeproof.runtime import publishing


class Document(msgspec.Struct):
    """Something that is printed."""

    number: int
    name: str = "none"


def test_a_schema_names_its_dialect_its_fields_and_which_must_be_there():
    found = msgspec.json.decode(publishing.schema(Document))
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    described = found["$defs"]["Document"]
    assert set(described["properties"]) == {"number", "name"}
    assert described["required"] == ["number"]


def test_every_document_is_written_under_its_name(tmp_path):
    publishing.write({"one": Document, "two": Document}, tmp_path / "schemas")
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == {"one.schema.json", "two.schema.json"}
    assert (tmp_path / "schemas" / "one.schema.json").read_bytes() == publishing.schema(Document)
