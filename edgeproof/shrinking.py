"""The command that tries a file as a microcontroller runs it: micro."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgeproof import options, session

if TYPE_CHECKING:
    from edgeproof.deploy.micro import Agreement, Report

WIDTH = 80


def micro(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="A file that edgeproof exported.")],
    data: Annotated[
        Path | None, typer.Option(metavar="PATH|RUN", help="Test pictures to answer as well: a folder, zip or run.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Of these pictures, at most; evenly spread.")] = 500,
    max_ram: Annotated[int | None, typer.Option(metavar="KIB", help="Fail for a larger arena.")] = None,
    max_flash: Annotated[int | None, typer.Option(metavar="KIB", help="Fail for a larger flatbuffer.")] = None,
    kernels: Annotated[
        Literal["reference", "builtin"], typer.Option(help="LiteRT's kernels to compare with: plain, or fast.")
    ] = "reference",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run a file in TFLite Micro: its arena to the byte, and LiteRT's answers; status 1 where they differ."""
    session.set_up(quiet)
    from edgeproof import show
    from edgeproof.deploy import micro as micros

    found = micros.examine(model, data=data, limit=limit, kernels=kernels)
    if json:
        show.json({"micro": found})
    else:
        _print(found)
    kib = micros.KIB
    micros.gate(
        found,
        ram_bytes=None if max_ram is None else max_ram * kib,
        flash_bytes=None if max_flash is None else max_flash * kib,
    )


def _print(found: Report) -> None:
    from edgeproof import show

    memory = found.memory
    print(f"{found.file} in TFLite Micro")
    rows = [
        ("arena", f"{memory.arena_bytes}", _fits(found.fits_ram, "512 KiB of RAM")),
        ("  persistent", f"{memory.persistent_bytes}", ""),
        ("  activations, scratch", f"{memory.shared_bytes}", ""),
        ("flatbuffer", f"{found.flash_bytes}", _fits(found.fits_flash, "1 MiB of flash")),
    ]
    show.table(("", "bytes", ""), rows)
    operators = ", ".join(f"{kind} {count}" for kind, count in found.operators.items())
    print(textwrap.fill(f"operators: {operators}", WIDTH, break_on_hyphens=False))
    beside = [("golden examples", found.golden), ("test pictures", found.test)]
    answered = [_row(words, each) for words, each in beside if each is not None]
    if answered:
        show.table(("beside LiteRT", "pictures", "same top-1", "same bytes", "largest difference"), answered)
        print(f"Of LiteRT the {found.kernels} kernels; the difference is one of probabilities.")
    print("The arena is that of 64-bit pointers: a 32-bit device needs no more.")


def _fits(fits: bool, what: str) -> str:
    return f"fits {what}" if fits else f"MORE than {what}"


def _row(words: str, found: Agreement) -> tuple[str, ...]:
    return words, f"{found.images}", f"{found.share:.2%}", f"{found.identical}", f"{found.largest_difference:.3g}"
