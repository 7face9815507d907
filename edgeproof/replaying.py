"""`edgeproof replay`: golden examples extracted, run again, or held against an application's answers."""

from __future__ import annotations

import textwrap
from pathlib import Path

from edgeproof import models, show
from edgeproof.runtime import golden, observed, replay
from edgeproof.runtime.atomic import writable_folder, write_bytes
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.errors import VerificationError
from edgeproof.runtime.golden import EXPECTED, Examples
from edgeproof.runtime.replay import Verdict

WIDTH = 80


def run(model: Path | None, *, answers: Path | None, extract: Path | None, as_json: bool) -> None:
    """Judge a file's golden examples, or write them into a folder. Raises `VerificationError` for a broken contract."""
    path = model or models.path(models.CLASSIFIER)
    classifier = Classifier(path)
    examples = golden.read(classifier.file)
    if extract is not None:
        _extract(classifier, examples, extract)
        return
    found = replay.replay(classifier) if answers is None else replay.judge(classifier, observed.read(answers, examples))
    if as_json:
        show.json({"model": path.name, "replay": found})
    else:
        _print(found, examples, path.name)
    if not found.sound:
        reason = found.fault.sentence if found.fault else "no known mistake gives these answers."
        raise VerificationError(f"{path.name}: its golden examples are not answered as expected: {reason}")


def _extract(classifier: Classifier, examples: Examples, folder: Path) -> None:
    place = writable_folder(folder)
    for name, picture in zip(examples.names, examples.pictures, strict=True):
        write_bytes(place / name, picture)
    write_bytes(place / Path(EXPECTED).name, classifier.file.attachments[EXPECTED])
    print(f"{len(examples)} pictures and {Path(EXPECTED).name}, the answers to them: {place}")
    print("Let your application label them, and hold its answers against these:")
    print(f"  edgeproof replay {classifier.file.path} --answers FILE")


def _print(found: Verdict, examples: Examples, name: str) -> None:
    kinds = [example.shows for example in examples.golden.examples]
    parts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    print(f"{found.examples} golden examples of {name} ({parts})")
    right = found.examples - len(found.other_answers)
    _say(
        f"Pixels: {found.pixels}. Best labels: {right} of {found.examples} as expected. Probabilities differ by "
        f"{found.distance:.4f} (mean total variation distance; other kernels may differ by {found.tolerance:.4f})."
    )
    for line in found.other_answers[:5]:
        print(f"  {line}")
    if len(found.other_answers) > 5:
        print(f"  and {len(found.other_answers) - 5} more")
    if found.tried:
        nearest = [(each.id, f"{each.distance:.4f}") for each in found.tried[:3]]
        show.table(("nearest mistakes", "distance to their answers"), nearest)
    if found.sound:
        print("Sound: these are the answers of the exported file.")
    elif found.fault is not None:
        _say(f"Broken ({found.fault.id}): {found.fault.sentence} {found.fault.remedy}")
    else:
        _say("Broken: no known mistake gives these answers. Compare pixels first: the file holds their hashes.")


def _say(text: str) -> None:
    print(textwrap.fill(text, WIDTH))
