"""How labels are told as they come: lines for people, JSON lines or CSV for programs, and copies in folders."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from edgeproof.labelling import Answer
from edgeproof.runtime import Prediction, progress
from edgeproof.runtime.atomic import replacing, writable_folder

# The columns of a terminal that the picture's name takes.
NAME_WIDTH = 30
# The folder of pictures that no label is sure enough for.
UNSURE = "_unsure"
Teller = Callable[[str, Sequence[Prediction] | str], None]


def tell(answers: Iterable[Answer], teller: Teller) -> int:
    """Tell every answer as it comes; how many pictures had none. On a terminal, stderr shows how far it is."""
    failed = 0
    # Beside lines on the same terminal a bar would only flicker.
    with progress.count("Pictures", shown=not sys.stdout.isatty()) as advance:
        for name, answer in answers:
            failed += isinstance(answer, str)
            teller(name, answer)
            advance(1)
    return failed


def sure(answers: Iterable[Answer], least: float) -> Iterator[Answer]:
    """The answers with the predictions of at least this probability alone."""
    for name, answer in answers:
        yield name, answer if isinstance(answer, str) else tuple(one for one in answer if one.probability >= least)


def copied(answers: Iterable[Answer], folder: Path) -> Iterator[Answer]:
    """The answers, with each picture that is a file copied into a folder of its first label's name below `folder`.

    A name that is taken gets a number. Raises `DataError` when the folder cannot be written.
    """
    place = writable_folder(folder)
    for name, answer in answers:
        if not isinstance(answer, str) and Path(name).is_file():
            label = _as_name(answer[0].label) if answer else UNSURE
            with replacing(_free(place / label, Path(name).name)) as temporary:
                shutil.copyfile(name, temporary)
        yield name, answer


def lines(*, width: int | None = None) -> Teller:
    """Lines for people: in columns that fit a terminal of a `width`, `name: label probability …` elsewhere."""
    if width is None:
        return lambda name, answer: print(f"{name}: {_words(answer)}", flush=True)
    print(f"{'picture':<{NAME_WIDTH}}  most probable first")

    def row(name: str, answer: Sequence[Prediction] | str) -> None:
        short = name if len(name) <= NAME_WIDTH else f"…{name[1 - NAME_WIDTH :]}"
        print(f"{short:<{NAME_WIDTH}}  {_words(answer, width - NAME_WIDTH - 2)}", flush=True)

    return row


def terminal_width() -> int | None:
    """The columns of the terminal that stdout is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def json_lines(model: str) -> Teller:
    """A JSON document a line."""

    def row(name: str, answer: Sequence[Prediction] | str) -> None:
        told = {"error": answer} if isinstance(answer, str) else {"predictions": [_plain(one) for one in answer]}
        line = msgspec.json.encode({"schema": 1, "image": name, "model": model, **told})
        print(line.decode(), flush=True)

    return row


def table(*, top: int) -> Teller:
    """CSV with a header: image, error, then label and probability of the best labels."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    pairs = [(f"label_{number}", f"probability_{number}") for number in range(1, top + 1)]
    writer.writerow(["image", "error", *(name for pair in pairs for name in pair)])

    def row(name: str, answer: Sequence[Prediction] | str) -> None:
        wrong = isinstance(answer, str)
        told = [] if isinstance(answer, str) else [(one.label, f"{one.probability:.6f}") for one in answer]
        cells = [cell for pair in told for cell in pair]
        writer.writerow([name, answer if wrong else "", *cells, *[""] * (2 * top - len(cells))])
        sys.stdout.flush()

    return row


def _words(answer: Sequence[Prediction] | str, width: int | None = None) -> str:
    """The labels with their probabilities, no more than fit a width but the first."""
    if isinstance(answer, str):
        return answer
    words = ""
    for one in answer:
        longer = f"{words}  {one.label} {one.probability:.1%}".lstrip()
        if words and width is not None and len(longer) > width:
            break
        words = longer
    return words or "unsure"


def _plain(one: Prediction) -> dict[str, Any]:
    return {"label": one.label, "probability": round(one.probability, 6), "class_index": one.class_index}


def _as_name(label: str) -> str:
    """A label as the name of a folder on any system."""
    return re.sub(r"[^\w.,()+ -]", "_", label).strip(". ") or "_"


def _free(folder: Path, name: str) -> Path:
    """The path of a file that is not there yet."""
    path = folder / name
    numbers = count(2)
    while path.exists():
        path = folder / f"{Path(name).stem}-{next(numbers)}{Path(name).suffix}"
    return path
