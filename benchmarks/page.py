"""A report as one HTML page without scripts or requests. Needs jinja2 (`edgeproof[report]`)."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from edgeproof.benchmarks import bars, confusion, details, plots, sentences, tables
from edgeproof.benchmarks.overview import overview
from edgeproof.benchmarks.report import Report
from edgeproof.benchmarks.sections import Figure, Section
from edgeproof.runtime import ConfigError
from edgeproof.runtime.atomic import write_text

log = logging.getLogger(__name__)
TEMPLATE = "page.html.jinja"
SIZE_LIMIT = 3_000_000
LONGEST_TITLE = 60


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
    environment.tests["drawn"] = _is_svg
    machine = Section("Machine", table=tables.machine(report.environment, report.load_after))
    source = resources.files("edgeproof.benchmarks").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        report=report,
        summary=sentences.summary(report),
        warnings=sentences.warnings(report),
        sections=[*sections(report), *extra, machine],
        title=title(report),
    )


def title(report: Report) -> str:
    """The page's heading: the files' names where they are short enough for one."""
    names = " and ".join(file.name for file in report.files)
    if len(report.files) == 1 or len(names) <= LONGEST_TITLE:
        return f"Benchmark of {names}"
    return f"Benchmark of {len(report.files)} model files"


def sections(report: Report) -> tuple[Section, ...]:
    """The report's own sections, in reading order; the machine and the command line end the page."""
    return (*_figures_first(report), *_answers(report), *_behind(report))


def _figures_first(report: Report) -> tuple[Section, ...]:
    """What most readers come for: the files, and how fast they are."""
    judged = any(file.quality for file in report.files)
    taken = tuple(f"{f.name}, taken for granted: {'; '.join(f.assumptions)}." for f in report.files if f.assumptions)
    synthetic = (sentences.SYNTHETIC,) if report.synthetic_pictures else ()
    found, curves = details.all_of(report), _there(plots.scaling(report), plots.batches(report))
    return (
        Section("Files", (*synthetic, sentences.ONE_MACHINE, *taken), table=overview(report)),
        *((Section("Accuracy, latency and size", figures=(plots.trade_off(report),)),) if judged else ()),
        Section("Latency", figures=(plots.latency(report),), table=found.get("Latency")),
        Section("Cold start", figures=(bars.cold_start(report),), table=found.get("Cold start")),
        Section("Threads and batches", figures=curves, table=tables.speed(report)),
    )


def _answers(report: Report) -> tuple[Section, ...]:
    if not any(file.quality for file in report.files):
        return ()
    worst = confusion.worst_table(report)
    return (
        Section("Accuracy", figures=confusion.matrices(report), table=tables.files(report)),
        *((Section("Worst classes", table=worst),) if worst.rows else ()),
    )


def _behind(report: Report) -> tuple[Section, ...]:
    """The measured details, those alone that the report has."""
    pictures = {"Stages": _there(bars.stages(report)), "Memory": (bars.memory(report),)}
    found = details.all_of(report)
    titles = ("Stages", "Memory", "Offline", "Backends", "Operators")
    made = (Section(title, figures=pictures.get(title, ()), table=found.get(title)) for title in titles)
    return tuple(section for section in made if section.figures or section.table)


def _there(*figures: Figure | None) -> tuple[Figure, ...]:
    return tuple(figure for figure in figures if figure is not None)


def _data_uri(image: bytes) -> str:
    kind = "image/svg+xml" if _is_svg(image) else "image/png"
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def _is_svg(image: bytes) -> bool:
    return image.startswith(b"<?xml")
