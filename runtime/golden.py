"""Golden examples: pictures inside a model file with the outputs that they must give, on every machine."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeproof.runtime import contract as contracts
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import Golden
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.modelfile import ModelFile

FOLDER = "golden"
EXPECTED = f"{FOLDER}/expected.csv"
DIGITS = 6


@dataclass(frozen=True)
class Examples:
    """The golden examples of a file: `pictures` as stored bytes, `outputs` of shape (examples, classes)."""

    golden: Golden
    pictures: tuple[bytes, ...]
    outputs: Probabilities
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def names(self) -> tuple[str, ...]:
        """The pictures' names without their folder."""
        return tuple(example.picture.removeprefix(f"{FOLDER}/") for example in self.golden.examples)


def read(file: ModelFile) -> Examples:
    """A file's golden examples, checked against their hashes. Raises `ModelError` for none, and for damaged ones."""
    contract = file.contract
    if contract is None or contract.golden is None or file.labels is None:
        raise ModelError(f"{file.path} holds no golden examples. Export it again with this edgeproof.")
    golden = contract.golden
    expected = [(golden.expected, golden.expected_sha256)]
    for name, sha256 in [*((each.picture, each.sha256) for each in golden.examples), *expected]:
        if contracts.sha256(file.attachments.get(name, b"")) != sha256:
            raise ModelError(f"{file.path}: its {name} does not match its checksum. Get the file again.")
    pictures = tuple(file.attachments[example.picture] for example in golden.examples)
    try:
        outputs = parse(file.attachments[golden.expected].decode(), file.labels)
    except ValueError as error:
        raise ModelError(f"{file.path}: its {golden.expected} cannot be read ({error}). Export it again.") from None
    if outputs.shape[0] != len(pictures):
        raise ModelError(f"{file.path}: {len(pictures)} golden pictures, but {len(outputs)} rows of outputs.")
    return Examples(golden, pictures, outputs, file.labels)


def text(names: Sequence[str], outputs: Probabilities, labels: Sequence[str]) -> str:
    """The table of expected outputs as CSV: a header with the labels, then a picture a row, six decimals."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["picture", *labels])
    for name, row in zip(names, outputs, strict=True):
        writer.writerow([name, *(_short(value) for value in row)])
    return table.getvalue()


def parse(content: str, labels: Sequence[str]) -> Probabilities:
    """Read what `text` wrote: shape (examples, classes), float32. Raises `ValueError` for other labels."""
    header, *rows = csv.reader(io.StringIO(content))
    if header[1:] != list(labels):
        raise ValueError("its labels are not the file's")
    return np.array([[float(cell) for cell in row[1:]] for row in rows], np.float32).reshape(-1, len(labels))


def _short(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".") or "0"
