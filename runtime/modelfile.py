"""A `.tflite` file as its two parts: the flatbuffer that is run, and the files appended to it as a zip."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeproof.runtime import contract as contracts
from edgeproof.runtime import labels as label_files
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, Contract
from edgeproof.runtime.errors import DataError, ModelError

IDENTIFIER = b"TFL3"
SIZE_LIMIT = 2**31
# Labels, a contract and a few small pictures; more is no attachment but a trap for the memory.
ATTACHMENTS_LIMIT = 2**26


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that was read once. `contract` is None for a file that edgeproof did not write."""

    path: Path
    flatbuffer: bytes
    attachments: Mapping[str, bytes]
    contract: Contract | None
    labels: tuple[str, ...] | None

    @property
    def size_bytes(self) -> int:
        """The size of the whole file."""
        return self.path.stat().st_size


def read(path: str | Path, *, labels: Sequence[str] | None = None) -> ModelFile:
    """Read and check a model file; the hash is over the very bytes that are returned as `flatbuffer`.

    `labels` take the place of the file's own, which then need not be readable. Raises `ModelError` when there
    is no such file, when it is no TFLite file, or when it is not byte for byte what its contract describes.
    """
    source = Path(path)
    content = _content(source)
    attachments, start = _attachments(content, source)
    flatbuffer = content[:start]
    contract = None
    if CONTRACT_NAME in attachments:
        contract = contracts.decode(attachments[CONTRACT_NAME], str(source))
        _check(flatbuffer, attachments, contract, source)
        if pack(flatbuffer, attachments) != content:
            raise ModelError(f"{path}: its appended files were changed or damaged. Get the file again.")
    elif CONTRACT_NAME.encode() in content:
        raise ModelError(f"{path}: its contract is cut off or damaged. Get the file again.")
    found = tuple(labels) if labels is not None else _labels(attachments, source)
    return ModelFile(source, flatbuffer, attachments, contract, found)


def pack(flatbuffer: bytes, attachments: Mapping[str, bytes]) -> bytes:
    """Append files to a flatbuffer as an uncompressed zip; the same parts give the same bytes everywhere."""
    packed = io.BytesIO()
    packed.write(flatbuffer)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_STORED) as archive:
        for name, content in attachments.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o600 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ModelError(f"{path} is larger than 2 GB, which TFLite cannot hold. Give a .tflite file.")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}. Give a .tflite file.") from None
    if content[4:8] != IDENTIFIER or len(content) < 16:
        found = "empty" if not content else f"{len(content)} bytes without the mark TFL3"
        raise ModelError(f"{path} is no TFLite model ({found}). Give a file made by `edgeproof convert`.")
    return content


def _attachments(content: bytes, path: Path) -> tuple[dict[str, bytes], int]:
    """The appended files, and where the flatbuffer ends."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}, len(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > ATTACHMENTS_LIMIT:
                raise ModelError(f"{path}: its appended files are larger than {ATTACHMENTS_LIMIT >> 20} MB.")
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: its appended files are damaged ({error}). Get the file again.") from None
    return files, min((entry.header_offset for entry in entries), default=len(content))


def _check(flatbuffer: bytes, attachments: Mapping[str, bytes], contract: Contract, path: Path) -> None:
    if contracts.sha256(flatbuffer) != contract.model_sha256:
        raise ModelError(f"{path} does not match its checksum: it was changed or damaged. Get the file again.")
    if contracts.sha256(attachments.get(LABELS_NAME, b"")) != contract.labels_sha256:
        raise ModelError(f"{path}: its labels do not match their checksum. Get the file again.")


def _labels(attachments: Mapping[str, bytes], path: Path) -> tuple[str, ...] | None:
    """Our `labels.txt`, or the one text file that another tool appended."""
    texts = [name for name in attachments if name.endswith(".txt")]
    name = LABELS_NAME if LABELS_NAME in attachments else texts[0] if len(texts) == 1 else None
    if name is None:
        return None
    try:
        return label_files.parse(attachments[name].decode(), f"{path}: {name}")
    except (UnicodeDecodeError, DataError) as error:
        raise ModelError(f"{path}: its labels cannot be read ({error}). Give --labels.") from None
