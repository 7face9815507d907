"""A report as Markdown with GitHub's tables."""

from __future__ import annotations

from edgeproof.benchmarks import details, sentences, tables
from edgeproof.benchmarks.report import Report
from edgeproof.benchmarks.sections import Table


def markdown(report: Report) -> str:
    """The whole report but its plots, as a Markdown document."""
    parts = ["# Benchmark", " ".join(sentences.summary(report))]
    if report.synthetic_pictures:
        parts.append(sentences.SYNTHETIC)
    parts += sentences.warnings(report)
    parts += ["## Files", table(tables.files(report)), *_assumptions(report)]
    parts += ["## Speed", table(tables.speed(report)), sentences.ONE_MACHINE]
    for title, rows in details.all_of(report).items():
        parts += [f"## {title}", table(rows)]
    parts += ["## Machine", table(tables.machine(report.environment, report.load_after))]
    if report.command:
        parts += ["## How to reproduce", f"```sh\n{report.command}\n```"]
    return "\n\n".join([*parts, f"Measured on {report.created}."]) + "\n"


def table(rows: Table) -> str:
    """A GitHub table with its caption above it."""
    lines = [rows.header, ("---",) * len(rows.header), *rows.rows]
    return f"{rows.caption}\n\n" + "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _assumptions(report: Report) -> list[str]:
    taken = [f"- {file.name}: {'; '.join(file.assumptions)}" for file in report.files if file.assumptions]
    return ["Taken for granted:\n\n" + "\n".join(taken)] if taken else []
