"""The commands about reports that exist already: compare, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeproof import options, session
from edgeproof.runtime.errors import ConfigError


def compare(
    reports: Annotated[
        list[Path], typer.Argument(metavar="OLD.json NEW.json", help="Two reports, or one of two files or more.")
    ],
    fail_on: Annotated[
        str, typer.Option(metavar="PERCENT", help="Status 1 for a metric that is worse by more than this.")
    ] = "5%",
    max_drop: Annotated[
        float | None, typer.Option(min=0, help="The limit in points for top-1 and same answers; as --fail-on else.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Decide these alone, as p50,size; all unless given.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print GitHub's Markdown instead of a table.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Decide what got worse between two reports. Status 1 for a regression, 2 where it cannot tell."""
    session.set_up(quiet)
    from edgeproof import compared, examined
    from edgeproof.benchmarks import compare as comparing
    from edgeproof.benchmarks import comparison, decisions
    from edgeproof.benchmarks import report as written

    if len(reports) > 2:
        raise ConfigError(f"compare takes one report or two, found {len(reports)}. See `edgeproof report` for more.")
    terms = comparing.Terms(
        fail_on=comparison.percent(fail_on, "--fail-on"),
        max_drop=max_drop,
        metrics=comparison.metrics(metrics) if metrics is not None else None,
    )
    read = [written.read(path) for path in reports]
    if len(read) == 1:
        found = comparing.compare_files(read[0], terms, name=str(reports[0]))
    else:
        found = comparing.compare(read[0], read[1], terms, names=(str(reports[0]), str(reports[1])))
    if json:
        examined.document(found)
    elif markdown:
        print(decisions.markdown(found), end="")
    else:
        compared.show(found)
    return found.status


def report(
    reports: Annotated[list[Path], typer.Argument(metavar="REPORT.json", help="Reports of one machine or more.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write report.json, report.md and report.html of all there.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="README.md", help="Write a model card for the Hugging Face Hub.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures as CSV.")] = None,
    name: Annotated[str, typer.Option(help="The model's name on the card; the first file's unless given.")] = "",
    licence: Annotated[str, typer.Option("--license", help="On the card, as `Apache License 2.0`.")] = "",
    model: Annotated[
        Path | None, typer.Option(metavar="FILE.tflite", help="A measured file, to take the licence from.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A data set's id on the Hub; may be repeated.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Put the reports of several machines together, or make a model card or CSV of one."""
    session.set_up(quiet)
    from edgeproof import compared, examined
    from edgeproof.benchmarks import card as cards
    from edgeproof.benchmarks import merging, spreadsheet
    from edgeproof.runtime.atomic import write_text

    merged = merging.merge(reports)
    first = merged.reports[0]
    if card is not None and len(merged.reports) > 1:
        raise ConfigError("--card: a card tells of one machine. Give one report.")
    if out is not None:
        merging.write(merged, out)
    if card is not None:
        licence = licence or (cards.license_of(model, first) if model is not None else "")
        write_text(card, cards.card(first, cards.Told(name, licence, tuple(dataset or ()))))
    if csv is not None:
        write_text(csv, spreadsheet.table(merged))
    if json:
        examined.document(merged)
    else:
        compared.machines(merged)
        for place in (out, card, csv):
            if place is not None:
                print(f"Written: {place}")
