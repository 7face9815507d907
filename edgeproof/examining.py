"""The commands that look into files, whoever made them: doctor, inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgeproof import options, session

Model = Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="Any .tflite file, also a damaged one.")]


def doctor(
    model: Model,
    labels: Annotated[Path | None, typer.Option(help="Class names to take instead of the file's own.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Labelled pictures to try the file on: a folder or zip.")
    ] = None,
    try_ranges: Annotated[
        bool, typer.Option("--try-ranges", help="With --data: find the likely input range and channel order.")
    ] = False,
    fail_on: Annotated[
        Literal["error", "warning", "never"], typer.Option(help="Status 1 from what severity on.")
    ] = "error",
    json: options.Json = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0 instead of a table.")] = False,
    quiet: options.Quiet = False,
) -> int:
    """Say what is wrong with a model file, and what to do. Status 1 where there is an error."""
    session.set_up(quiet)
    from edgeproof import examined
    from edgeproof.runtime import doctor as doctors
    from edgeproof.runtime import sarif as sarifs

    found = doctors.examine(model, labels=labels, data=data, try_ranges=try_ranges)
    if sarif:
        from edgeproof import __version__

        print(sarifs.encode(found, doctors.RULES, __version__).decode())
    elif json:
        examined.document(found)
    else:
        examined.report(found)
    return 1 if found.fails(fail_on) else 0


def inspect(model: Model, json: options.Json = False) -> None:
    """Show everything that a model file says of itself: operators, tensors, quantisation, metadata, contract."""
    session.set_up(False)
    from edgeproof import examined
    from edgeproof.runtime import inspection

    found = inspection.inspect(model)
    if json:
        examined.document(found)
    else:
        examined.inspection(found)
