"""Class names: one a line, in the order of the model's outputs."""

from collections.abc import Sequence
from pathlib import Path

from edgeproof.runtime.errors import DataError


def parse(text: str, where: str) -> tuple[str, ...]:
    """The labels in a text of one a line. Raises `DataError` for none, an empty one or the same twice."""
    labels = tuple(text.removeprefix("\ufeff").removesuffix("\n").split("\n")) if text.strip() else ()
    labels = tuple(label.removesuffix("\r") for label in labels)
    if not labels:
        raise DataError(f"{where} holds no labels. Write one a line, in the order of the model's outputs.")
    seen: set[str] = set()
    for number, label in enumerate(labels, 1):
        if not label.strip():
            raise DataError(f"{where}, line {number}: an empty label. Write one label a line.")
        if label in seen:
            raise DataError(f"{where}, line {number}: the label '{label}' stands twice. Write each label once.")
        seen.add(label)
    return labels


def read(path: str | Path) -> tuple[str, ...]:
    """Read a labels file. Raises `DataError`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: the labels cannot be read: {error.strerror}. Give a text file.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no UTF-8 text. Give a text file with one label a line.") from None
    return parse(text, str(path))


def text(labels: Sequence[str]) -> str:
    """The labels as the content of a labels file."""
    return "\n".join(labels) + "\n"
