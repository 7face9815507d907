"""Progress bars with an ETA: on a terminal's stderr, and silent anywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]

_quiet = False


def silence() -> None:
    """Show no progress bars in this process from now on (the command line's --quiet)."""
    global _quiet
    _quiet = True


@contextmanager
def bar(description: str, total: int, *, note: Callable[[], str] = lambda: "") -> Iterator[Advance]:
    """Show a bar of `total` steps while the block runs; yields the function that advances it by n steps.

    `note` is asked for a few words to stand behind the bar (an accuracy so far, say) at every advance.
    """
    if _quiet or not sys.stderr.isatty():
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total, note="")
        yield lambda steps: progress.update(task, advance=steps, note=note())


@contextmanager
def count(description: str, *, shown: bool = True) -> Iterator[Advance]:
    """Show how many steps were made, and how fast, while the block runs: for work whose end is not known."""
    if _quiet or not shown or not sys.stderr.isatty():
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=None, rate="")

        def advance(steps: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(task, advance=steps, rate=f"{speed:.0f} a second" if speed else "")

        yield advance
