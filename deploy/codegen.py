"""A small project that runs one model file elsewhere, filled from what the file says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import jinja2
import msgspec

from edgeproof import __version__
from edgeproof.deploy import facts as facts_of
from edgeproof.deploy import folder, literals, resolver, targets, tflm
from edgeproof.deploy.facts import Facts
from edgeproof.deploy.subject import Subject, read
from edgeproof.deploy.targets import Target
from edgeproof.runtime.errors import ConfigError, ModelError

TEMPLATES = Path(__file__).with_name("templates")
# A project of an earlier run is known by it.
MANIFEST = "generated.json"
SUFFIX = ".jinja"
# Golden pictures in a microcontroller's flash: each takes as much as the input.
ON_A_CHIP = 2


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: `files` by their paths in the project, `sha256` of the model file."""

    target: str
    model: str
    sha256: str
    files: tuple[str, ...]
    edgeproof: str = __version__


def generate(
    model: str | Path, target: str, out: str | Path, *, overwrite: bool = False, arena: int | None = None
) -> Project:
    """Write the project of a model file into the folder `out`, whole or not at all.

    `arena` is the bytes that a microcontroller has for tensors; without it they are found by TFLite Micro where that is
    installed. Raises `ConfigError` for an unknown target and for a folder in use, `ModelError` for a file that says too
    little of itself or that the target's client cannot run, `DataError` where nothing can be written.
    """
    wanted = targets.named(target)
    if arena is not None and not wanted.micro:
        raise ConfigError(f"--arena is for microcontrollers; {target} has none. Leave it away.")
    folder.refuse(out, MANIFEST, overwrite=overwrite)
    subject = read(model)
    files = contents(subject, wanted, arena=arena)
    project = Project(
        target=wanted.name,
        model=subject.contract.name,
        sha256=subject.sha256,
        files=tuple(sorted(files)),
    )
    files[MANIFEST] = msgspec.json.format(msgspec.json.encode(project), indent=1) + b"\n"
    folder.write(files, out, overwrite=overwrite)
    return project


def contents(subject: Subject, target: Target, *, arena: int | None = None) -> dict[str, bytes]:
    """The files of a project by their paths in it. Raises `ModelError`."""
    found = facts_of.facts(subject)
    if found.input.dtype not in target.inputs:
        raise ModelError(
            f"{subject.file.path} takes {found.input.dtype}; {target.name} runs files that take "
            f"{' or '.join(target.inputs)}. Export it with --recipe int8 and --input {target.inputs[-1]}."
        )
    files = dict(_rendered(found, target, arena))
    if target.model:
        files[target.model] = found.content
    files.update(_golden(found, target))
    return files


def _rendered(found: Facts, target: Target, arena: int | None) -> Iterator[tuple[str, bytes]]:
    environment = _environment()
    said: dict[str, object] = {"f": found, "target": target.name, "version": __version__}
    if target.micro:
        calls = resolver.calls(found.flatbuffer)
        said |= {"calls": calls, "arena": _arena(found, arena), "on_chip": found.examples[:ON_A_CHIP]}
    for part, place in target.parts:
        for path in sorted((TEMPLATES / part).rglob("*")):
            name = path.relative_to(TEMPLATES / part).as_posix()
            # Without golden examples there is nothing to hold answers against.
            if not path.is_file() or ("golden" in name.lower() and not found.examples):
                continue
            where = f"{place}/{name}" if place else name
            if name.endswith(SUFFIX):
                text = environment.get_template(f"{part}/{name}").render(said)
                # A template that this file has no use for gives nothing.
                if text.strip():
                    yield where.removesuffix(SUFFIX), text.encode()
            else:
                yield where, path.read_bytes()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # code and plain text: labels go through the filters below
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (literals.python, literals.cpp, literals.kotlin, literals.swift, literals.number, literals.rows):
        environment.filters[filter_.__name__] = filter_
    return environment


def _golden(found: Facts, target: Target) -> Iterator[tuple[str, bytes]]:
    for example in found.examples:
        if target.stored:
            yield f"{target.stored}/{example.name}{example.suffix}", example.stored
        if target.decoded:
            yield f"{target.decoded}/{example.name}.ppm", example.ppm
    for place in {target.stored, target.decoded} - {""}:
        if found.examples:
            yield f"{place}/expected.txt", found.table.encode()


def _arena(found: Facts, given: int | None) -> int | None:
    if given is not None or find_spec("tflite_micro") is None:
        return given
    return tflm.memory(found.flatbuffer).arena_bytes
