"""The command line: each verb is a function that parses, imports its stage, calls one function and prints."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from edgeproof import comparing, examining, generating, judging, making, paging, session, shrinking, using

app = typer.Typer(
    name="edgeproof",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In the order of the work.
VERBS = (
    making.train,
    making.convert,
    making.diagnose,
    judging.verify,
    judging.evaluate,
    judging.replay,
    examining.doctor,
    examining.inspect,
    using.classify,
    using.benchmark,
    paging.web,
    generating.codegen,
    shrinking.micro,
    comparing.compare,
    comparing.report,
    making.demo,
)
for verb in VERBS:
    app.command()(verb)


def _version(wanted: bool) -> None:
    if wanted:
        from edgeproof import __version__

        print(f"edgeproof {__version__}")
        raise typer.Exit


@app.callback()
def face(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Train an image classifier, ship it to the edge, and prove that what ships is what was trained."""


def main() -> None:
    """Run the command line. Exit status 0 done, 1 a gate or some inputs failed, 2 what was given cannot be used."""
    raise SystemExit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; known errors become one line on stderr."""
    return session.status_of(lambda: app(arguments or ["--help"], prog_name="edgeproof", standalone_mode=False))
