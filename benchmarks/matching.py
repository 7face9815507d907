"""Which file of one report is which of another, and whether both reports speak of the same machine."""

from __future__ import annotations

from edgeproof.benchmarks.comparison import Match
from edgeproof.benchmarks.environment import Environment
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.runtime import DataError

# What makes latency and memory incomparable; other differences are told as notes.
MACHINE = ("cpu", "architecture", "cores", "usable_cores", "governor")

Matched = tuple[FileReport, FileReport, Match]


def matched(old: Report, new: Report) -> tuple[Matched, ...]:
    """Files of one name; of the others those whose recipe is there once on each side; a last one left on each side.

    Raises `DataError` where nothing matches.
    """
    names = {file.name: file for file in new.files}
    found: list[Matched] = [(file, names[file.name], "name") for file in old.files if file.name in names]
    taken = {file.name for file, _, _ in found}
    before, after = ([file for file in report.files if file.name not in taken] for report in (old, new))
    for file in list(before):
        alike = [[each for each in side if each.recipe == file.recipe != "unknown"] for side in (before, after)]
        if [len(side) for side in alike] == [1, 1]:
            found.append((file, alike[1][0], "recipe"))
            before.remove(file)
            after.remove(alike[1][0])
    if len(before) == len(after) == 1 and len(found) == 0:
        found.append((before[0], after[0], "being alone"))
    if not found:
        ours, theirs = (", ".join(file.name for file in report.files) for report in (old, new))
        raise DataError(f"No file of one report is in the other: {ours}; {theirs}. Compare reports of the same files.")
    order = [file.name for file in old.files]
    return tuple(sorted(found, key=lambda match: order.index(match[0].name)))


def in_turn(report: Report) -> tuple[Matched, ...]:
    """The first file of one report against each other file: their blocks were measured in turn.

    Raises `DataError` for a report of one file.
    """
    if len(report.files) < 2:
        raise DataError(f"The report holds {report.files[0].name} alone. Give two reports, or measure two files.")
    return tuple((report.files[0], file, "order") for file in report.files[1:])


def another_machine(old: Environment, new: Environment) -> str:
    """How two machines differ, so that latency and memory of one say nothing of the other; "" where they do not."""
    differing = [
        f"{name.replace('_', ' ')} {getattr(old, name)} and {getattr(new, name)}"
        for name in MACHINE
        if getattr(old, name) != getattr(new, name)
    ]
    return "; ".join(differing)


def notes(old: Report, new: Report) -> tuple[str, ...]:
    """What else differs between two reports, and may be what a difference comes from."""
    first, second = old.environment, new.environment
    versions = sorted(set(first.packages) | set(second.packages))
    found = [
        f"{name} {first.packages.get(name, 'none')} and {second.packages.get(name, 'none')}"
        for name in versions
        if first.packages.get(name) != second.packages.get(name)
    ]
    found += [
        f"{name} {getattr(first, name)} and {getattr(second, name)}"
        for name in ("system", "python")
        if getattr(first, name) != getattr(second, name)
    ]
    if (old.synthetic_pictures, old.data_name) != (new.synthetic_pictures, new.data_name):
        told = ("synthetic ones" if each.synthetic_pictures else each.data_name for each in (old, new))
        found.append("pictures: {} and {}".format(*told))
    return tuple(found)
