"""A model card for the Hugging Face Hub from a report: YAML front matter, the files, the proof, and how to use them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeproof.benchmarks import markdown as markdowns
from edgeproof.benchmarks import sentences, tables
from edgeproof.benchmarks.figures import top1, whole
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Table
from edgeproof.runtime import DataError
from edgeproof.runtime.accuracy import Accuracy
from edgeproof.runtime.contract import sha256
from edgeproof.runtime.inspection import inspect

# What the Hub calls the licences that files name; others become "other" with their name.
LICENCES = {
    **dict.fromkeys(("apache license 2.0", "apache-2.0", "apache license, version 2.0"), "apache-2.0"),
    **{"mit": "mit", "mit license": "mit", "cc0-1.0": "cc0-1.0", "cc-by-4.0": "cc-by-4.0"},
    **{"bsd-3-clause": "bsd-3-clause", "bsd 3-clause": "bsd-3-clause", "gpl-3.0": "gpl-3.0", "mpl-2.0": "mpl-2.0"},
}
HEADER = ("File", "Recipe", "Size", "Top-1 [95 %]", "Drop vs Keras", "Same as Keras", "p50 ms", "p90 ms")


@dataclass(frozen=True, slots=True)
class Told:
    """What only the user knows: the model's name, its licence as the files name it, the ids of data sets on the Hub."""

    name: str = ""
    license: str = ""
    datasets: tuple[str, ...] = field(default=())


def card(report: Report, told: Told | None = None) -> str:
    """The README.md of a repository on the Hub, with every figure from the report."""
    told = told or Told()
    name = told.name or Path(report.files[0].name).stem
    used = report.files[0].labels
    parts = [
        f"---\n{front_matter(report, told, name)}---",
        f"# {name}",
        f"An image classifier of {len(used)} classes as {_count(report)} for LiteRT (TensorFlow Lite). Inputs are RGB "
        f"pictures of {_size(report)} pixels.",
        "## Files",
        markdowns.table(_files(report)),
        sentences.ONE_MACHINE,
        "## Use",
        _use(report),
        "## Labels",
        _labels(used),
        "## Measured on",
        markdowns.table(tables.machine(report.environment)),
    ]
    if report.command:
        parts += ["The figures come from:", f"```sh\n{report.command}\n```"]
    return "\n\n".join(parts) + "\n"


def front_matter(report: Report, told: Told, name: str) -> str:
    """The YAML that the Hub reads. Strings are JSON's, which YAML's double quotes are."""
    lines = ["library_name: litert", "pipeline_tag: image-classification"]
    lines += _list("tags", ["litert", "tflite", "image-classification", "edgeproof"])
    if told.license:
        known = LICENCES.get(told.license.lower())
        lines += [f"license: {known}"] if known else ["license: other", f"license_name: {_text(told.license)}"]
    lines += _list("datasets", told.datasets) if told.datasets else []
    results = [line for file in report.files for line in _result(report, file, told)]
    if results:
        lines += ["metrics:", "  - accuracy", "model-index:", f"  - name: {_text(name)}", "    results:", *results]
    return "\n".join(lines) + "\n"


def license_of(model: Path, report: Report) -> str:
    """The licence in a file's metadata, "" for none. Raises `DataError` for a file that the report does not hold."""
    if sha256(model.read_bytes()) not in {file.sha256 for file in report.files}:
        raise DataError(f"{model} is no file of the report. Give one that was measured, unchanged.")
    metadata = inspect(model).metadata
    return metadata.license if metadata is not None else ""


def _result(report: Report, file: FileReport, told: Told) -> list[str]:
    """One file's entry of the model index, in the Hub's form; nothing for a file that was not judged."""
    found = top1(file)
    if found is None:
        return []
    measured = report.data_name if file.quality is not None else "test set of the verification"
    dataset = told.datasets[0] if told.datasets else re.sub("[^a-z0-9]+", "-", measured.lower()).strip("-")
    metrics = [("accuracy", found.share, "Top-1")]
    if file.verification is not None:
        metrics.append(("accuracy_drop_points", file.verification.drop_points, "Drop of top-1 vs Keras, points"))
        metrics.append(("agreement", file.verification.same_answers, "Same answers as Keras"))
    lines = [
        "      - task:",
        "          type: image-classification",
        "        dataset:",
        f"          name: {_text(measured)}",
        f"          type: {_text(dataset)}",
        "        metrics:",
    ]
    for kind, value, words in metrics:
        lines += [
            f"          - type: {kind}",
            f"            value: {round(value, 4) + 0.0}",
            f"            name: {_text(f'{words}, {file.name}')}",
        ]
    return lines


def _files(report: Report) -> Table:
    rows = tuple(_file_row(file) for file in report.files)
    threads = tables.threads(min(report.threads))
    return Table(
        f"Top-1 on {_pictures(report)}. Latency of one picture with {threads} on {report.environment.cpu}, and there "
        "alone.",
        HEADER,
        rows,
    )


def _file_row(file: FileReport) -> tuple[str, ...]:
    found, proof = top1(file), file.verification
    first = min(file.measurements, key=lambda each: each.threads)
    return (
        file.name,
        file.recipe,
        tables.mb(file.size_bytes),
        tables.NONE if found is None else tables.percent_with_interval(found),
        tables.NONE if proof is None else f"{round(proof.drop_points, 2) + 0.0:.2f} points",
        tables.NONE if proof is None else f"{Accuracy(_same(file), proof.images).share * 100:.1f} %",
        *(tables.three_digits(whole(first, metric)) for metric in ("p50", "p90")),
    )


def _same(file: FileReport) -> int:
    return 0 if file.verification is None else file.verification.images - file.verification.different_answers


def _use(report: Report) -> str:
    smallest = min(report.files, key=lambda file: file.size_bytes)
    name = Path(smallest.name).name
    lines = [
        "from edgeproof.runtime import Classifier",
        "",
        f"with Classifier({json.dumps(name)}) as classifier:",
        '    for best in classifier.classify("photo.jpg", top=5):',
        '        print(f"{best.label} {best.probability:.1%}")',
    ]
    body = "\n".join(lines)
    taken = f"\n\n{name} carries no contract; taken for granted: {'; '.join(smallest.assumptions)}."
    return "```sh\npip install edgeproof\n```\n\n```python\n" + body + "\n```" + (taken if smallest.assumptions else "")


def _labels(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:20]).replace("<", "&lt;")
    return shown + (f", and {len(labels) - 20} more" if len(labels) > 20 else "") + "."


def _pictures(report: Report) -> str:
    if any(file.quality is not None for file in report.files):
        return f"{report.images} pictures of {report.data_name}"
    return "the test set of each file's own verification"


def _size(report: Report) -> str:
    return " and ".join(dict.fromkeys("{1}×{0}".format(*file.input_size) for file in report.files))


def _count(report: Report) -> str:
    return "one file" if len(report.files) == 1 else f"{len(report.files)} files"


def _list(name: str, values: Sequence[str]) -> list[str]:
    return [f"{name}:", *(f"  - {_text(value)}" for value in values)]


def _text(value: str) -> str:
    return json.dumps(value)
