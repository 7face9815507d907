import io
import zipfile

import pytest

from edgeproof.runtime import ModelError, contract, modelfile
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME


@pytest.fixture
def read_bytes(tmp_path):
    """Write bytes to a file and read that as a model."""

    def read(content, **options):
        path = tmp_path / "model.tflite"
        path.write_bytes(content)
        return modelfile.read(path, **options)

    return read


def repacked(flatbuffer, attachments, method=zipfile.ZIP_STORED):
    """As another tool would append files."""
    packed = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(packed, "a", method) as archive:
        for name, content in attachments.items():
            archive.writestr(name, content)
    return packed.getvalue()


def parts(read_bytes, content):
    found = read_bytes(content)
    return found.flatbuffer, dict(found.attachments)


# --- whole files --------------------------------------------------------------------------------------------


def test_a_file_is_read_as_its_parts(tiny_model_path, tiny_flatbuffer):
    found = modelfile.read(str(tiny_model_path))
    assert found.flatbuffer == tiny_flatbuffer
    assert set(found.attachments) == {LABELS_NAME, CONTRACT_NAME}
    assert found.labels == ("red", "green", "blue", "grey")
    assert found.contract.model_sha256 == contract.sha256(tiny_flatbuffer)
    assert found.path == tiny_model_path
    assert found.size_bytes == tiny_model_path.stat().st_size


def test_the_same_parts_give_the_same_bytes_and_unzip_reads_them(read_bytes, tiny_model_bytes):
    flatbuffer, attachments = parts(read_bytes, tiny_model_bytes)
    assert modelfile.pack(flatbuffer, attachments) == tiny_model_bytes
    with zipfile.ZipFile(io.BytesIO(tiny_model_bytes)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(attachments)
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_packing_leaves_the_flatbuffer_in_front_as_it_was(tiny_flatbuffer):
    assert modelfile.pack(tiny_flatbuffer, {"a.txt": b"x"}).startswith(tiny_flatbuffer)


def test_another_tools_file_has_no_contract(read_bytes, tiny_flatbuffer):
    found = read_bytes(tiny_flatbuffer)
    assert (found.contract, found.labels, dict(found.attachments)) == (None, None, {})
    assert found.flatbuffer == tiny_flatbuffer


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["labels.txt", "probability-labels-en.txt"])
def test_the_labels_that_another_tool_appended_are_found(read_bytes, tiny_flatbuffer, name, method):
    found = read_bytes(repacked(tiny_flatbuffer, {name: b"a\r\nb\r\n", "more.json": b"{}"}, method))
    assert (found.contract, found.labels) == (None, ("a", "b"))
    assert found.flatbuffer == tiny_flatbuffer


def test_of_two_texts_none_is_guessed_to_be_the_labels(read_bytes, tiny_flatbuffer):
    assert read_bytes(repacked(tiny_flatbuffer, {"a.txt": b"a\n", "b.txt": b"b\n"})).labels is None


@pytest.mark.parametrize("content", [b"", b"crane\nowl\ncrane\n", b"\xff\xfe", b"a\n\nb\n"])
def test_labels_of_another_tool_that_cannot_be_used_ask_for_labels_and_these_help(read_bytes, tiny_flatbuffer, content):
    packed = repacked(tiny_flatbuffer, {"labels.txt": content})
    with pytest.raises(ModelError, match=r"its labels cannot be read \(.+\)\. Give --labels"):
        read_bytes(packed)
    assert read_bytes(packed, labels=["a", "b"]).labels == ("a", "b")


# --- what is no model ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"these are words, and quite a few of them\n", "41 bytes without the mark TFL3"),
        (b"\x1c\x00\x00\x00TFL3", "8 bytes without the mark"),
        (b"PK\x03\x04" + bytes(40), "44 bytes without the mark"),
    ],
)
def test_a_file_that_is_no_model_says_what_it_is(read_bytes, content, found):
    with pytest.raises(ModelError, match=rf"model\.tflite is no TFLite model \({found}.*edgeproof convert"):
        read_bytes(content)


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.tflite: cannot be read: No such file or directory"):
        modelfile.read(tmp_path / "gone.tflite")
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        modelfile.read(tmp_path)


def test_a_file_larger_than_tflite_allows_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.tflite"
    with path.open("wb") as opened:
        opened.truncate(modelfile.SIZE_LIMIT + 1)  # a hole: it takes no room on the disk
    with pytest.raises(ModelError, match=r"large\.tflite is larger than 2 GB"):
        modelfile.read(path)


# --- damage -------------------------------------------------------------------------------------------------


def refused(read, content, **options):
    try:
        read(content, **options)
    except ModelError:
        return True
    return False


def flipped(content, at, bit):
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    return bytes(changed)


def test_a_flipped_bit_anywhere_is_refused(read_bytes, tiny_model_bytes, tiny_flatbuffer):
    # Every byte of the appended files and of their directory, and every seventh of the graph.
    places = [*range(0, len(tiny_flatbuffer), 7), *range(len(tiny_flatbuffer), len(tiny_model_bytes))]
    accepted = [at for at in places if not refused(read_bytes, flipped(tiny_model_bytes, at, at % 8))]
    assert accepted == []


@pytest.mark.parametrize("labels", [None, ("a", "b", "c", "d")])
def test_a_file_cut_off_within_its_appended_files_is_refused_even_when_labels_are_given(
    read_bytes, tiny_model_bytes, tiny_flatbuffer, labels
):
    first = tiny_model_bytes.index(CONTRACT_NAME.encode()) + len(CONTRACT_NAME)
    lengths = range(first, len(tiny_model_bytes), 5)
    assert [n for n in lengths if not refused(read_bytes, tiny_model_bytes[:n], labels=labels)] == []


def test_bytes_before_behind_or_between_are_refused(read_bytes, tiny_model_bytes, tiny_flatbuffer):
    for content in (
        tiny_model_bytes + b"x",
        tiny_model_bytes + bytes(70_000),
        tiny_flatbuffer + b"x" + tiny_model_bytes[len(tiny_flatbuffer) :],
    ):
        with pytest.raises(ModelError):
            read_bytes(content)


def test_another_graph_under_the_same_contract_is_refused(read_bytes, tiny_model_bytes, make_flatbuffer):
    _, attachments = parts(read_bytes, tiny_model_bytes)
    with pytest.raises(ModelError, match=r"does not match its checksum: .+\. Get the file again"):
        read_bytes(modelfile.pack(make_flatbuffer(quantised=True), attachments))


@pytest.mark.parametrize("labels", [b"green\nred\nblue\ngrey\n", b"red\ngreen\nblue\n", b""])
def test_other_labels_under_the_same_contract_are_refused(read_bytes, tiny_model_bytes, labels):
    flatbuffer, attachments = parts(read_bytes, tiny_model_bytes)
    with pytest.raises(ModelError, match="its labels do not match their checksum"):
        read_bytes(modelfile.pack(flatbuffer, {**attachments, LABELS_NAME: labels}))


def test_missing_labels_are_refused(read_bytes, tiny_model_bytes):
    flatbuffer, attachments = parts(read_bytes, tiny_model_bytes)
    del attachments[LABELS_NAME]
    with pytest.raises(ModelError, match="its labels do not match their checksum"):
        read_bytes(modelfile.pack(flatbuffer, attachments))


def test_a_contract_of_a_later_format_is_refused(read_bytes, tiny_model_bytes):
    flatbuffer, attachments = parts(read_bytes, tiny_model_bytes)
    later = attachments[CONTRACT_NAME].replace(b'"format": 1', b'"format": 7')
    assert later != attachments[CONTRACT_NAME]
    with pytest.raises(ModelError, match=r"model\.tflite: contract format 7; .+ Update edgeproof"):
        read_bytes(modelfile.pack(flatbuffer, {**attachments, CONTRACT_NAME: later}))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_damaged_files_of_another_tool_are_a_model_error(read_bytes, tiny_flatbuffer, method):
    content = repacked(tiny_flatbuffer, {"labels.txt": bytes(range(256)) * 8}, method)
    body = len(tiny_flatbuffer) + 30 + len("labels.txt")
    with pytest.raises(ModelError, match=r"its appended files are damaged \(.+\)\. Get the file again"):
        read_bytes(content[:body] + b"\xff" * 20 + content[body + 20 :])


def test_appended_files_that_would_fill_the_memory_are_not_unpacked(read_bytes, tiny_flatbuffer, monkeypatch):
    monkeypatch.setattr(modelfile, "ATTACHMENTS_LIMIT", 2**20)
    bomb = repacked(tiny_flatbuffer, {"labels.txt": bytes(2**21)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10_000
    with pytest.raises(ModelError, match="its appended files are larger than 1 MB"):
        read_bytes(bomb)
