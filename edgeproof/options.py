"""What several commands take in the same words, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgeproof.runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeproof.runtime.foreign import Foreign

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notes on stderr.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left in --out.")]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Go on with an unfinished run in --out, or begin it anew.")
]
Deterministic = Annotated[bool, typer.Option("--deterministic", help="The same bits each time; slower.")]
Settings = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings of the training.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="One setting; may be repeated.")
]
Resample = Annotated[
    Literal["nearest", "bilinear", "bicubic", "lanczos"],
    typer.Option(help="With --keras: the filter that its pictures were resized with."),
]
Fit = Annotated[
    Literal["stretch", "crop"], typer.Option(help="With --keras: the whole picture to its size, or the middle.")
]


def foreign(labels: Path | None, input_range: str | None) -> Foreign:
    """What is said of files without a contract: the names in the file `labels`, and a range as text."""
    from edgeproof.runtime import labels as label_files
    from edgeproof.runtime.foreign import Foreign

    return Foreign(label_files.read(labels) if labels else None, span(input_range) if input_range else None)


def span(text: str, option: str = "--input-range") -> tuple[float, float]:
    """The two numbers of an --input-range, or of another option. Raises `ConfigError`."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} {text}: expected two numbers, such as -1,1 or 0,255.") from None
    if not low < high:
        raise ConfigError(f"{option} {text}: the first number must be below the second.")
    return low, high
