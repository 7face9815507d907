"""A report as one HTML page without scripts or requests. Needs jinja2 (`edgeproof[report]`)."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from edgeproof.benchmarks import sentences, tables
from edgeproof.benchmarks.plots import plots
from edgeproof.benchmarks.report import Report
from edgeproof.benchmarks.sections import Section
from edgeproof.runtime import ConfigError
from edgeproof.runtime.atomic import write_text

log = logging.getLogger(__name__)
TEMPLATE = "page.html.jinja"
SIZE_LIMIT = 3_000_000


def write_page(report: Report, path: str | Path, *, extra: Sequence[Section] = ()) -> None:
    """Write the page, with `extra` sections after the report's own figures, whole or not at all.

    Raises `ConfigError` where jinja2 or matplotlib is missing, and `DataError` when it cannot be written.
    """
    page = html(report, extra=extra)
    size = len(page.encode())
    if size > SIZE_LIMIT:
        log.warning("%s has %.1f MB; give smaller figures in extra sections.", path, size / 1e6)
    write_text(path, page)


def html(report: Report, *, extra: Sequence[Section] = ()) -> str:
    """The page as text. Raises `ConfigError` where jinja2 or matplotlib is missing."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise ConfigError("The HTML page needs jinja2: install edgeproof[report].") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["data_uri"] = _data_uri
    machine = Section("Machine", table=tables.machine(report.environment))
    source = resources.files("edgeproof.benchmarks").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        report=report,
        summary=sentences.summary(report),
        sections=[*sections(report), *extra, machine],
        title=title(report),
    )


def title(report: Report) -> str:
    """The page's heading."""
    names = ", ".join(file.name for file in report.files)
    return f"Benchmark of {names}" if len(report.files) <= 2 else f"Benchmark of {len(report.files)} model files"


def sections(report: Report) -> tuple[Section, ...]:
    """The report's own sections, in reading order; the machine and the command line end the page."""
    taken = tuple(f"{f.name}, taken for granted: {'; '.join(f.assumptions)}." for f in report.files if f.assumptions)
    synthetic = (sentences.SYNTHETIC,) if report.synthetic_pictures else ()
    return (
        Section("Files", text=taken, table=tables.files(report)),
        Section("Speed and memory", text=(*synthetic, sentences.ONE_MACHINE), table=tables.speed(report)),
        Section("Plots", figures=plots(report)),
    )


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
