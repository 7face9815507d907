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

SCHEMA = 2
# All that the second schema added may be left out.
READABLE = (1, 2)


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs the graph: `delegated` of its `operators` were taken by `delegate` ("" where there is none)."""

    operators: int
    delegated: int
    delegate: str = ""


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """One operator of the graph, run alone: its output tensor, the Keras layer where the name tells it, and calls."""

    number: int
    kind: str
    tensor: str
    layer: str
    samples_ns: tuple[int, ...]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The operators, each run alone on one thread, beside the whole graph in the same process (`whole_ns`)."""

    operators: tuple[Operator, ...]
    whole_ns: tuple[int, ...]


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """One way to run a file: calls of `batch` pictures by block, and how its answers differ from the first one's.

    `largest_difference` is of any output, `flips` counts other best answers among `pictures`; `error` says why there
    are no figures.
    """

    name: str
    threads: int
    batch: int
    blocks_ns: tuple[tuple[int, ...], ...] = ()
    pictures: int = 0
    largest_difference: float = 0.0
    flips: int = 0
    error: str = ""


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """One model file: what it says of itself, how good its answers were here, and how fast they came.

    `name` is the shortest that tells the files of a report apart; `assumptions` what was taken for granted of
    a file without a contract; `quality` is None where no labelled pictures were given. `arena_mb` is the most that
    the tensors alive at one time take, as LiteRT may plan it; without weights.
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
    arena_mb: float | None = None
    execution: Execution | None = None
    profile: Profile | None = None
    backends: tuple[Backend, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Files measured together, on one machine, with the same pictures. `created` is UTC in ISO 8601.

    `pictures` says what latency was measured with: "data", the files' "golden" examples, or "synthetic" pictures.
    `stage_files` says in words of which picture files the stages were timed. `paced_ms` is the time from one paced call
    to the next, `load_after` the load averages at the end; `resumed_blocks` were measured by a run that was cut short.
    """

    data_name: str
    synthetic_pictures: bool
    images: int
    command: str
    created: str
    environment: Environment
    files: tuple[FileReport, ...]
    schema: int = SCHEMA
    pictures: str = ""
    quick: bool = False
    stage_files: str = ""
    resumed_blocks: int = 0
    paced_ms: float | None = None
    load_after: tuple[float, float, float] | None = None

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
        if found not in READABLE:
            remedy = "Update edgeproof" if found > SCHEMA else "Measure again"
            raise DataError(f"{path}: report schema {found}; this edgeproof reads {SCHEMA}. {remedy}.")
        return msgspec.json.decode(content, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no report of edgeproof ({error}). Give a report.json.") from None


class _Versioned(msgspec.Struct):
    schema: int
