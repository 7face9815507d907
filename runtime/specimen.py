"""A model file opened as far as it can be: every part that is whole, and what went wrong with the others."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeproof.runtime import contract as contracts
from edgeproof.runtime import extents, modelfile, tflite_metadata
from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, Contract
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.extents import Extents
from edgeproof.runtime.findings import Seen
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.modelfile import ATTACHMENTS_LIMIT, IDENTIFIER, SIZE_LIMIT
from edgeproof.runtime.tflite_metadata import METADATA_NAME, TfliteMetadata

# What reading a damaged flatbuffer or archive raises.
DAMAGED = (
    *(struct.error, zlib.error, zipfile.BadZipFile, OSError, EOFError, MemoryError, NotImplementedError),
    *(ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError),
)


_FIRST_FILE = b"PK\x03\x04"


@dataclass(frozen=True)
class Specimen:
    """A file in parts. `troubles` says in words, by a part's name, why that part could not be read.

    `flatbuffer` is the content before `archive_start`, where the appended files begin. `labels` has one entry a line
    of the labels file that was given or came along, whatever is in it; None where there is none.
    """

    path: Path
    content: bytes
    archive_start: int
    attachments: Mapping[str, bytes]
    extents: Extents
    anatomy: Anatomy | None
    metadata: TfliteMetadata | None
    contract: Contract | None
    labels: tuple[str, ...] | None
    troubles: Mapping[str, str]

    @property
    def flatbuffer(self) -> bytes:
        """What is run: the file up to its appended files."""
        return self.content[: self.archive_start]

    @property
    def classes(self) -> int | None:
        """How many classes a classifier's only output tells apart; None for any other model."""
        if self.anatomy is None or len(self.anatomy.outputs) != 1:
            return None
        shape = self.anatomy.shape(self.anatomy.outputs[0])
        return shape[-1] if len(shape) in (2, 4) and set(shape[:-1]) == {1} and shape[-1] > 1 else None

    @property
    def image(self) -> int | None:
        """The tensor of the only input where that takes pictures, (n, height, width, channels); else None."""
        if self.anatomy is None or len(self.anatomy.inputs) != 1:
            return None
        return self.anatomy.inputs[0] if len(self.anatomy.shape(self.anatomy.inputs[0])) == 4 else None


def of_anatomy(look: Callable[[Anatomy], Iterable[Seen]]) -> Callable[[Specimen], Iterable[Seen]]:
    """A rule's check that looks at the graph alone, and sees nothing where that could not be read."""

    def check(specimen: Specimen) -> Iterable[Seen]:
        return () if specimen.anatomy is None else look(specimen.anatomy)

    return check


def opened(path: Path, labels: bytes | None = None) -> Specimen:
    """Open a file; `labels` is the content of a labels file that takes the place of its own.

    Raises `ModelError` only where there is no such file.
    """
    content = _content(path)
    troubles: dict[str, str] = {}
    if content[4:8] != IDENTIFIER or len(content) < 16:
        troubles["mark"] = "the file is empty" if not content else f"{len(content)} bytes without the mark TFL3"
        return Specimen(path, content, len(content), {}, Extents(), None, None, None, None, troubles)
    attachments, start = _attachments(content, troubles)
    flatbuffer = content[:start]
    measured = extents.measure(flatbuffer)
    # A zip's directory stands at its end: one that was cut off is known by how its first file begins.
    cut = -1 if measured.broken or attachments else content.find(_FIRST_FILE, measured.end)
    if cut >= 0 and "archive" not in troubles:
        troubles["archive"] = f"a zip begins at byte {cut}, but its directory at the end is missing"
        start, flatbuffer = cut, content[:cut]
    anatomy = _anatomy(flatbuffer, measured, troubles)
    return Specimen(
        path=path,
        content=content,
        archive_start=start,
        attachments=attachments,
        extents=measured,
        anatomy=anatomy,
        metadata=_metadata(anatomy, troubles),
        contract=_contract(content, flatbuffer, attachments, troubles),
        labels=_labels(attachments, labels),
        troubles=troubles,
    )


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ModelError(f"{path} is larger than 2 GB, which TFLite cannot hold. Give a .tflite file.")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}. Give a .tflite file.") from None


def _attachments(content: bytes, troubles: dict[str, str]) -> tuple[dict[str, bytes], int]:
    """The appended files that are whole, and where they begin."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}, len(content)
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            # An archive without files is its last record alone.
            start = min((entry.header_offset for entry in entries), default=archive.start_dir)
            if sum(entry.file_size for entry in entries) > ATTACHMENTS_LIMIT:
                troubles["archive"] = f"the appended files are larger than {ATTACHMENTS_LIMIT >> 20} MB"
                return {}, start
            for entry in entries:
                try:
                    files[entry.filename] = archive.read(entry)
                except DAMAGED as error:
                    troubles["archive"] = f"{entry.filename}: {error}"
            return files, start
    except DAMAGED as error:
        troubles["archive"] = str(error)
        return {}, len(content)


def _anatomy(flatbuffer: bytes, measured: Extents, troubles: dict[str, str]) -> Anatomy | None:
    if measured.broken:
        past = measured.end - len(flatbuffer)
        troubles["reach"] = (
            f"{len(flatbuffer)} bytes, but its parts reach {past} bytes past the end"
            if past > 0
            else f"an offset leads outside its {len(flatbuffer)} bytes"
        )
        return None
    try:
        return Anatomy(Graph.read(flatbuffer))
    except DAMAGED as error:
        troubles["graph"] = f"{type(error).__name__}: {error}"
        return None


def _metadata(anatomy: Anatomy | None, troubles: dict[str, str]) -> TfliteMetadata | None:
    entries = (anatomy.model.metadata or []) if anatomy else []
    named = [entry for entry in entries if entry.name == METADATA_NAME.encode()]
    if not named or anatomy is None:
        return None
    try:
        data = anatomy.model.buffers[named[0].buffer].data
        return tflite_metadata.decode(b"" if data is None else bytes(data))
    except (IndexError, ModelError) as error:
        troubles["metadata"] = str(error)
        return None


def _contract(
    content: bytes, flatbuffer: bytes, attachments: Mapping[str, bytes], troubles: dict[str, str]
) -> Contract | None:
    """The contract, where there is one that can be read, and whether the file is what it describes."""
    if CONTRACT_NAME not in attachments:
        return None
    try:
        found = contracts.decode(attachments[CONTRACT_NAME], "edgeproof.json")
    except ModelError as error:
        troubles["contract"] = str(error)
        return None
    if contracts.sha256(flatbuffer) != found.model_sha256:
        troubles["hash"] = f"{found.model_sha256[:12]}… expected, {contracts.sha256(flatbuffer)[:12]}… found"
    if contracts.sha256(attachments.get(LABELS_NAME, b"")) != found.labels_sha256:
        troubles["labels_hash"] = f"{LABELS_NAME} is not the file that the contract was made with"
    if modelfile.pack(flatbuffer, attachments) != content:
        troubles["pack"] = "packed again, its parts do not give the same bytes"
    return found


def _labels(attachments: Mapping[str, bytes], given: bytes | None) -> tuple[str, ...] | None:
    """The lines of the labels file: the given one, ours, or the only text that another tool appended."""
    texts = [name for name in attachments if name.endswith(".txt")]
    name = LABELS_NAME if LABELS_NAME in attachments else texts[0] if len(texts) == 1 else None
    content = given if given is not None else attachments[name] if name else None
    if content is None:
        return None
    return lines(content.decode("utf-8", "replace"))


def lines(text: str) -> tuple[str, ...]:
    """The lines of a labels file, without what ends them."""
    return tuple(line.removesuffix("\r") for line in text.removeprefix("\ufeff").removesuffix("\n").split("\n"))
