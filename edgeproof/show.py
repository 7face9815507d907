"""Results for people and for programs: tables by rich, or one JSON document with a schema number, on stdout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from edgeproof.benchmarks.report import Report
    from edgeproof.convert.pareto import Search
    from edgeproof.convert.verification import Summary
    from edgeproof.runtime.classifier import Classifier
    from edgeproof.train.run import Run

# Headers of the benchmark's tables as they fit a terminal.
SHORT = {
    "Drop vs Keras": "Drop",
    "Same as Keras": "Same",
    "Threads": "Thr.",
    "p50 ms": "p50",
    "p90 ms": "p90",
    "p99 ms": "p99",
    "Images/s": "Img/s",
    "Import ms": "Import",
    "Load ms": "Load",
    "First answer ms": "First",
    "Peak MiB": "Peak",
}


def training(run: Run, *, as_json: bool) -> None:
    """Print what a run scored, and where its files lie."""
    from edgeproof.train.evaluation import Metrics

    metrics = msgspec.json.decode(run.metrics.read_bytes(), type=Metrics)
    if as_json:
        json({"run": str(run.folder), "metrics": metrics})
        return
    low, high = metrics.top1_interval
    table(
        ("test pictures", "top-1 (95 % interval)", "top-5", "loss"),
        [
            (
                f"{metrics.images}",
                f"{metrics.top1:.2%} ({low:.2%}–{high:.2%})",
                f"{metrics.top5:.2%}",
                f"{metrics.loss:.4f}",
            )
        ],
    )
    pairs = [(pair.true, pair.predicted, str(pair.count)) for pair in metrics.most_confused[:5]]
    if pairs:
        table(("true class", "most often taken for", "times"), pairs)
    print(f"Run folder: {run.folder} (model.keras, metrics.json, history.csv, plots/)")


def conversion(summary: Summary, out: Path, *, as_json: bool) -> None:
    """Print how the exported files compare with Keras."""
    if as_json:
        json({"out": str(out), "verification": summary})
        return
    from edgeproof import verdicts

    verdicts.verification(summary, as_json=False)
    print(f"Written to {out}, with verification.json and verification.md")


def search(found: Search, summary: Summary | None, out: Path, *, as_json: bool) -> None:
    """Print what a search tried and what it chose, and how that file compares with Keras on the test set."""
    from edgeproof.convert import pareto

    if as_json:
        json({"out": str(out), "search": found, "verification": summary})
        return
    rows = [
        (
            ("> " if number == found.chosen else "  ") + trial.name,
            f"{trial.top1:.2%}",
            f"{trial.drop_points:+.2f}",
            f"{trial.same_answers:.2%}",
            f"{trial.size_bytes / 1e6:.2f}",
            pareto.milliseconds(trial),
            "yes" if trial.accepted else "NO",
            "*" if trial.on_front else "",
        )
        for number, trial in enumerate(found.trials)
    ]
    table(("held-out pictures", "top-1", "drop", "same", "MB", "ms", "ok", "*"), rows)
    print("ok: within the limit. *: nothing tried beats it in answers, size and latency.")
    print(f"{found.sentence}\nSearch: {out}/search.md, search.json, pareto.png")
    if summary is not None:
        conversion(summary, out, as_json=False)


def assumptions(classifier: Classifier) -> str:
    """One line that says what was taken for granted of a file without a contract; empty for ours."""
    return f"assuming {', '.join(classifier.assumptions)}" if classifier.assumptions else ""


def benchmark(report: Report, out: Path, *, as_json: bool) -> None:
    """Print a report's tables, and where it lies."""
    from edgeproof.benchmarks import sentences, tables

    if as_json:
        json({"out": str(out), "report": report})
        return
    # File names are too long for a terminal's 80 columns beside the figures: letters stand for them.
    letters = {file.name: chr(ord("A") + number) for number, file in enumerate(report.files)}
    for name, letter in letters.items():
        print(f"{letter}  {name}")
    for part in (tables.files(report), tables.speed(report)):
        header = [SHORT.get(name, name) for name in part.header]
        table(header, [(letters[name], *(cell.removesuffix(" points") for cell in row)) for name, *row in part.rows])
    print("Drop in points of top-1 and same answers: against Keras. Times in ms, memory in MiB.")
    for warning in sentences.warnings(report):
        print(warning)
    written = [name for name in ("report.html", "report.md", "report.json") if (out / name).is_file()]
    print(f"Report: {out / written[0]}" + "".join(f", {name}" for name in written[1:]))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below a header, the first column to the left and the others to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for number, name in enumerate(header):
        drawn.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(drawn)


def json(content: dict[str, Any]) -> None:
    """Print one JSON document."""
    print(msgspec.json.format(msgspec.json.encode({"schema": 1, **content}), indent=1).decode())
