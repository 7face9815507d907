"""Reports of several machines as one comparison: the files once, and their speed machine by machine."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from edgeproof.benchmarks import markdown as markdowns
from edgeproof.benchmarks import report as reports
from edgeproof.benchmarks import sentences, tables
from edgeproof.benchmarks.figures import whole
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Section, Table
from edgeproof.runtime import ConfigError
from edgeproof.runtime.atomic import write_bytes, write_text

log = logging.getLogger(__name__)
SCHEMA = 1
SPEED_HEADER = ("File", "Threads", "Machine", "p10 ms", "p50 ms", "p90 ms", "Images/s", "Cold start ms", "Peak MiB")


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """Reports in the order they were given; machine A is the first one's."""

    reports: tuple[Report, ...]
    schema: int = SCHEMA


class _Either(msgspec.Struct):
    reports: list[msgspec.Raw] | None = None


def merge(paths: Sequence[str | Path]) -> Merged:
    """Read reports, and what was merged before. Raises `ConfigError` for none, `DataError` for what is no report."""
    found: list[Report] = []
    for path in paths:
        found += _read(Path(path))
    if not found:
        raise ConfigError("No reports were given. Give at least one report.json.")
    return Merged(reports=tuple(found))


def machines(merged: Merged) -> Table:
    """A column for each machine."""
    each = [tables.machine(report.environment) for report in merged.reports]
    facts = list(dict.fromkeys(row[0] for table in each for row in table.rows))
    columns = [{row[0]: row[1] for row in table.rows} for table in each]
    rows = [(fact, *(column.get(fact, tables.NONE) for column in columns)) for fact in facts]
    rows.append(("Measured on", *(report.created for report in merged.reports)))
    return Table("The machines that were measured.", ("What", *letters(merged)), tuple(rows))


def files(merged: Merged) -> Table:
    """Each file once, as the first report that judged its answers tells of it."""
    rows: list[tuple[str, ...]] = []
    for name, told in _files(merged):
        judged = next(((report, file) for report, file in told if file.quality is not None), told[0])
        alone = msgspec.structs.replace(judged[0], files=(msgspec.structs.replace(judged[1], name=name),))
        rows += tables.files(alone).rows
    return Table("The files, which are the same on every machine.", tables.FILES_HEADER, tuple(rows))


def speed(merged: Merged) -> Table:
    """What is true of each machine alone: a row for each file, number of threads and machine."""
    letter = dict(zip(map(id, merged.reports), letters(merged), strict=True))
    rows: list[tuple[str, ...]] = []
    for name, told in _files(merged):
        for threads in sorted({each.threads for _, file in told for each in file.measurements}):
            rows += [
                (name, str(threads), letter[id(report)], *_row(file, threads))
                for report, file in told
                if threads in {each.threads for each in file.measurements}
            ]
    return Table("Speed and memory by machine; none predicts another.", SPEED_HEADER, tuple(rows))


def letters(merged: Merged) -> tuple[str, ...]:
    """A, B, … for the machines, and numbers from the 27th on."""
    count = len(merged.reports)
    return tuple(chr(ord("A") + number) if number < 26 else str(number + 1) for number in range(count))


def markdown(merged: Merged) -> str:
    """The comparison of machines as a Markdown document."""
    named = (
        f"{letter} is {report.environment.cpu}" for letter, report in zip(letters(merged), merged.reports, strict=True)
    )
    parts = [f"# Benchmark on {len(merged.reports)} machines", f"{'; '.join(named)}."]
    parts += ["## Files", markdowns.table(files(merged))]
    parts += ["## Speed", markdowns.table(speed(merged)), sentences.ONE_MACHINE]
    parts += ["## Machines", markdowns.table(machines(merged))]
    commands = list(dict.fromkeys(report.command for report in merged.reports if report.command))
    if commands:
        parts += ["## How to reproduce", "```sh\n" + "\n".join(commands) + "\n```"]
    return "\n\n".join(parts) + "\n"


def write(merged: Merged, folder: Path) -> None:
    """Write report.json, report.md and, with `edgeproof[report]`, report.html: the first machine's with the others."""
    write_bytes(folder / "report.json", msgspec.json.format(msgspec.json.encode(merged), indent=1) + b"\n")
    write_text(folder / "report.md", markdown(merged))
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        log.warning("report.html was left out: %s not found. Install edgeproof[report].", " and ".join(missing))
        return
    from edgeproof.benchmarks.page import write_page

    told = "The rest of this page is about machine A."
    extra = (
        Section("All machines", text=(told, sentences.ONE_MACHINE), table=speed(merged)),
        Section("The machines", table=machines(merged)),
    )
    write_page(merged.reports[0], folder / "report.html", extra=extra)


def _read(path: Path) -> tuple[Report, ...]:
    try:
        either = msgspec.json.decode(path.read_bytes(), type=_Either).reports
        if either is not None:
            return tuple(msgspec.json.decode(each, type=Report) for each in either)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        pass  # what it is that cannot be read, the reader of a report says
    return (reports.read(path),)


def _files(merged: Merged) -> list[tuple[str, list[tuple[Report, FileReport]]]]:
    """Files by name and content, each with the reports that hold it; a name that stands for two is told apart."""
    found: dict[tuple[str, str], list[tuple[Report, FileReport]]] = {}
    for report in merged.reports:
        for file in report.files:
            found.setdefault((file.name, file.sha256), []).append((report, file))
    names = [name for name, _ in found]
    return [
        (name if names.count(name) == 1 else f"{name} ({digest[:8]})", told) for (name, digest), told in found.items()
    ]


def _row(file: FileReport, threads: int) -> tuple[str, ...]:
    own = next(each for each in file.measurements if each.threads == threads)
    batches = whole(own, "throughput")
    latency = (tables.three_digits(whole(own, metric)) for metric in ("p10", "p50", "p90"))
    return (
        *latency,
        tables.NONE if math.isnan(batches) else f"{batches:.0f}",
        tables.three_digits(whole(own, "cold-start")),
        f"{max(block.rss_peak_mb for block in own.blocks):.0f}",
    )
