"""`edgeproof diagnose`: what plain int8 does to each layer, written as a report and shown."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproof import exporting, session, show
from edgeproof.runtime.atomic import writable_folder

if TYPE_CHECKING:
    from edgeproof.convert.diagnosis import Diagnosis

WIDTH = 80


def run(source: exporting.Source, out: Path, *, calibration_images: int, held_out_images: int, as_json: bool) -> None:
    """Diagnose what the source names, and write the report into `out`, with the list of calibration pictures."""
    folder = writable_folder(out)
    with session.tensorflow(), session.extra("report"):
        from edgeproof.convert import diagnosis_report, examination, inputs

    given = exporting.read(source)
    sample = inputs.calibrate(given, record=folder / "calibration.csv", images=calibration_images, seed=source.seed)
    found = examination.examine(given, sample, images=held_out_images, seed=source.seed)
    written = diagnosis_report.write(found, folder)
    if as_json:
        show.json({"out": str(folder), "diagnosis": found})
        return
    _print(found)
    print(f"Report: {written[0]}" + "".join(f", {path.name}" for path in written[1:]))


def _print(diagnosis: Diagnosis) -> None:
    from edgeproof.convert import diagnosis_report

    print(textwrap.fill(diagnosis_report.summary(diagnosis), WIDTH))
    show.table(diagnosis_report.SHORT, diagnosis_report.short_rows(diagnosis))
    for number, layer in enumerate(diagnosis.worst, 1):
        print(textwrap.fill(f"{number}. {layer.sentence}", WIDTH, subsequent_indent="   "))
