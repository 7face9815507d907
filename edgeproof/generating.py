"""The command that writes a small project which runs a file elsewhere: codegen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeproof import options, session

# As deploy/targets.py has them; a test holds the two equal. That module is loaded by the verb alone.
TARGETS = "android-kotlin|ios-swift|cpp|python|c-array|arduino"


def codegen(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="A file that edgeproof exported.")],
    target: Annotated[str, typer.Option(metavar=TARGETS, help="What the project is for.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the project.")],
    arena: Annotated[
        int | None,
        typer.Option(min=1, metavar="BYTES", help="Of c-array and arduino: room for tensors; else TFLite Micro tells."),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a small project that runs the file elsewhere, filled from what the file says of itself."""
    session.set_up(quiet)
    from edgeproof import show

    with session.extra("deploy"):
        from edgeproof.deploy import codegen as projects

    project = projects.generate(model, target, out, overwrite=overwrite, arena=arena)
    if json:
        show.json({"out": str(out), "project": project})
        return
    print(f"Written to {out}: {len(project.files)} files. Its README.md says how it is built and run.")
