"""The report: everything measured on one machine, with raw samples, as a versioned JSON document."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.environment import Environment
from edgeproof.benchmarks.quality import Quality
from edgeproof.runtime import DataError
from edgeproof.runtime.atomic import write_bytes
from edgeproof.runtime.contract import Verification

SCHEMA = 1


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """One model file: what it says of itself, how good its answers were here, and how fast they came.

    `name` is the shortest that tells the files of a report apart; `assumptions` what was taken for granted of
    a file without a contract; `quality` is None where no labelled pictures were given.
    """

    name: str
    recipe: str
    sha256: str
    size_bytes: int
    input_size: tuple[int, int]
    labels: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    assumptions: tuple[str, ...] = ()
    verification: Verification | None = None
    quality: Quality | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Files measured together, on one machine, with the same pictures. `created` is UTC in ISO 8601."""

    data_name: str
    synthetic_pictures: bool
    images: int
    command: str
    created: str
    environment: Environment
    files: tuple[FileReport, ...]
    schema: int = SCHEMA

    @property
    def threads(self) -> tuple[int, ...]:
        """The numbers of threads that were measured, ascending."""
        return tuple(sorted({m.threads for file in self.files for m in file.measurements}))


def write(report: Report, path: str | Path) -> None:
    """Write the report as indented JSON, whole or not at all. Raises `DataError` where it cannot."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def read(path: str | Path) -> Report:
    """Read a report back. Raises `DataError` for a file that is none, or of another schema."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. Give a report.json.") from None
    try:
        found = msgspec.json.decode(content, type=_Versioned).schema
        if found != SCHEMA:
            remedy = "Update edgeproof" if found > SCHEMA else "Measure again"
            raise DataError(f"{path}: report schema {found}; this edgeproof reads {SCHEMA}. {remedy}.")
        return msgspec.json.decode(content, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no report of edgeproof ({error}). Give a report.json.") from None


class _Versioned(msgspec.Struct):
    schema: int
