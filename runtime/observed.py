"""An application's answers to the golden pictures, as a file: what `edgeproof classify --json` prints, or a table."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePath

import msgspec
import numpy as np

from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.errors import DataError
from edgeproof.runtime.golden import Examples
from edgeproof.runtime.replay import Observed


class _Prediction(msgspec.Struct):
    label: str
    probability: float


class _Line(msgspec.Struct):
    """A line of JSON: an image with labelled predictions, or with all probabilities in the order of the labels."""

    image: str
    predictions: tuple[_Prediction, ...] = ()
    probabilities: tuple[float, ...] = ()


def read(path: str | Path, examples: Examples) -> Observed:
    """Read answers to a file's golden pictures, in any order: JSON lines, or CSV like the file's `expected.csv`.

    Raises `DataError` for another form, a picture that is missing or unknown, or a label that is not the file's.
    """
    source = Path(path)
    try:
        content = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read ({error}). Give JSON lines or CSV.") from None
    rows = _of_json(content, examples, source) if content.lstrip()[:1] == "{" else _of_csv(content, examples, source)
    missing = sorted(set(examples.names) - rows.keys())
    if missing:
        raise DataError(f"{source}: no answer to {missing[0]} ({len(missing)} in all). Answer every golden picture.")
    return Observed(np.stack([rows[name] for name in examples.names]))


def _of_json(content: str, examples: Examples, source: Path) -> dict[str, Probabilities]:
    rows = {}
    for number, text in enumerate(content.splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError as error:
            raise DataError(f"{source}, line {number}: {error}. Give lines of `edgeproof classify --json`.") from None
        told = {each.label: each.probability for each in line.predictions}
        if line.probabilities:
            if len(line.probabilities) != len(examples.labels):
                raise DataError(
                    f"{source}, line {number}: {len(line.probabilities)} probabilities for {len(examples.labels)} "
                    "labels. Give one for each, in their order."
                )
            told = dict(zip(examples.labels, line.probabilities, strict=True))
        rows[_name(line.image, examples, f"{source}, line {number}")] = _row(told, examples, source)
    return rows


def _of_csv(content: str, examples: Examples, source: Path) -> dict[str, Probabilities]:
    table = list(csv.reader(io.StringIO(content)))
    if not table or len(table[0]) < 2:
        raise DataError(f"{source} is neither JSON lines nor CSV with a header of labels. Give one of them.")
    header, rows = table[0][1:], {}
    for number, (picture, *cells) in enumerate((row for row in table[1:] if row), 2):
        where = f"{source}, line {number}"
        try:
            told = dict(zip(header, map(float, cells), strict=True))
        except ValueError:
            raise DataError(f"{where}: expected {len(header)} numbers, one for each label of the header.") from None
        rows[_name(picture, examples, where)] = _row(told, examples, source)
    return rows


def _name(picture: str, examples: Examples, where: str) -> str:
    name = PurePath(picture.replace("\\", "/")).name
    if name not in examples.names:
        raise DataError(f"{where}: {picture} is no golden picture of the file. Extract them with --extract DIR.")
    return name


def _row(told: dict[str, float], examples: Examples, source: Path) -> Probabilities:
    index = {label: number for number, label in enumerate(examples.labels)}
    unknown = sorted(told.keys() - index.keys())
    if unknown:
        raise DataError(f"{source}: '{unknown[0]}' is none of the file's {len(index)} labels. Use its labels.txt.")
    row = np.full(len(index), np.nan, np.float32)
    for label, probability in told.items():
        row[index[label]] = probability
    return row
