"""What a user pays for a model."""

import gzip
import io
import zipfile

from edgeproof import models
from edgeproof.runtime import footprint
from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.arena import arena_bytes
from edgeproof.runtime.graph import Graph


def test_the_download_is_what_zip_and_gzip_leave_but_for_their_headers():
    content = models.path(models.CLASSIFIER).read_bytes()[:100_000]
    found = footprint.of_file(content, None)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.writestr("model.tflite", content)
    assert found.file_bytes == 100_000
    for size in (len(gzip.compress(content, 9)), len(archive.getvalue())):
        assert 0 < size - found.compressed_bytes < 150
    assert found.activation_bytes is None


def test_activations_are_those_of_the_graph(tiny_flatbuffer):
    body = Anatomy(Graph.read(tiny_flatbuffer))
    assert footprint.of_file(tiny_flatbuffer, body).activation_bytes == arena_bytes(body) > 0


def test_the_installed_libraries_are_told_with_their_sizes():
    found = {each.name.partition(".")[0]: each.size_bytes for each in footprint.installed()}
    assert set(found) <= set(footprint.LIBRARIES)
    assert found["libpywrap_litert_common"] > 1_000_000


def test_no_library_is_told_where_litert_has_another_package(monkeypatch):
    monkeypatch.setattr(footprint, "find_spec", lambda name: None)
    assert footprint.installed() == ()
