"""The doctor's rules about a file as bytes: is it whole, and the file that was proved? See docs/doctor.md."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from edgeproof.runtime.findings import Rule, Seen, listed
from edgeproof.runtime.graph import DTYPES
from edgeproof.runtime.specimen import Specimen

ALIGNMENT = 16
# Below these, mending would not be worth its while.
WASTED_BYTES = 1024
DUPLICATE_BYTES = 256


def _trouble(name: str) -> Callable[[Specimen], Iterator[Seen]]:
    """A rule that holds where a part could not be read."""

    def check(specimen: Specimen) -> Iterator[Seen]:
        if name in specimen.troubles:
            yield Seen(specimen.troubles[name])

    return check


def _lengths(specimen: Specimen) -> Iterator[Seen]:
    if specimen.anatomy is None:
        return
    body = specimen.anatomy
    wrong = [
        number
        for number, tensor in enumerate(body.graph.tensors)
        if body.stored(number) and tensor.type in DTYPES and tensor.sparsity is None and body.constant(number) is None
    ]
    if wrong:
        worst = wrong[0]
        shape = "×".join(str(side) for side in body.shape(worst)) or "no sides"
        evidence = f"{len(wrong)} constants; '{body.name(worst)}' is {body.dtype(worst)} of {shape}"
        yield Seen(f"{evidence}, but has {body.stored(worst)} bytes", tuple(body.name(number) for number in wrong))


def _appended(specimen: Specimen) -> Iterator[Seen]:
    extra = specimen.archive_start - specimen.extents.end
    if not specimen.extents.broken and not {"mark", "archive"} & set(specimen.troubles) and extra > 0:
        where = "before the appended files" if specimen.attachments else "at the end"
        yield Seen(f"{extra} bytes {where} belong to no part of the model")


def _unnamed(specimen: Specimen) -> Iterator[Seen]:
    if specimen.contract is not None:
        return  # which names its files, and whose check accounts for every byte
    named = {file.name for file in specimen.metadata.all_files} if specimen.metadata else set()
    unknown = [name for name in specimen.attachments if name not in named]
    if unknown:
        yield Seen(f"{len(unknown)} of {len(specimen.attachments)}: {listed(unknown)}", tuple(unknown))


def _no_contract(specimen: Specimen) -> Iterator[Seen]:
    readable = specimen.anatomy is not None and not {"contract", "archive"} & set(specimen.troubles)
    if specimen.contract is None and readable:
        yield Seen("no edgeproof.json: nothing says what its flatbuffer's sha256 must be")


def _version(specimen: Specimen) -> Iterator[Seen]:
    if specimen.anatomy is not None and specimen.anatomy.model.version != 3:
        yield Seen(f"schema version {specimen.anatomy.model.version}; every runtime since 2017 reads version 3 alone")


def _misaligned(specimen: Specimen) -> Iterator[Seen]:
    # Constants of a few bytes are copied by the kernels that read them.
    large = [start for start, size in specimen.extents.buffers if size >= ALIGNMENT]
    wrong = [start for start in large if start % ALIGNMENT]
    if wrong:
        yield Seen(f"{len(wrong)} of {len(large)} buffers; the first at byte {wrong[0]}")


def _unused(specimen: Specimen) -> Iterator[Seen]:
    body = specimen.anatomy
    if body is None or len(body.model.subgraphs) != 1:
        return
    ends = {*body.inputs, *body.outputs}
    idle = [t for t in range(len(body.graph.tensors)) if t not in body.takers and t not in body.maker and t not in ends]
    used = {tensor.buffer for number, tensor in enumerate(body.graph.tensors) if number not in set(idle)}
    used |= {entry.buffer for entry in body.model.metadata or []}
    wasted = sum(size for number, (_, size) in enumerate(specimen.extents.buffers) if number not in used)
    if wasted >= WASTED_BYTES:
        share = wasted / len(specimen.content)
        evidence = f"{wasted} bytes, {share:.0%} of the file, that no operator reads"
        names = tuple(body.name(tensor) for tensor in idle if body.stored(tensor))
        yield Seen(evidence + (f": {listed(names)}" if names else ""), names)


def _doubled(specimen: Specimen) -> Iterator[Seen]:
    seen: dict[tuple[int, bytes], int] = {}
    spare: list[int] = []
    for number, (start, size) in enumerate(specimen.extents.buffers):
        if size < DUPLICATE_BYTES or specimen.extents.broken:
            continue
        key = size, hashlib.sha256(specimen.content[start : start + size]).digest()
        # One buffer that several tables name is no copy.
        if key in seen and specimen.extents.buffers[seen[key]][0] != start:
            spare.append(number)
        seen.setdefault(key, number)
    wasted = sum(specimen.extents.buffers[number][1] for number in spare)
    if wasted >= WASTED_BYTES:
        yield Seen(f"{len(spare)} buffers repeat another one: {wasted} bytes, {wasted / len(specimen.content):.0%}")


_AGAIN = "Get the file again, from where it was made."
_EXPORT = "Export the model again; if it comes from elsewhere, ask its maker."
RULES: tuple[Rule[Specimen], ...] = (
    Rule("EP101", "error", "This is no TFLite file", "Give a .tflite file.", _trouble("mark")),
    Rule("EP102", "error", "The file is cut off or damaged: parts lie past its end", _AGAIN, _trouble("reach")),
    Rule("EP103", "error", "The graph refers to what is not there", _EXPORT, _trouble("graph")),
    Rule("EP104", "error", "Constants are not as long as their shapes demand", _EXPORT, _lengths),
    Rule("EP105", "error", "The appended files are damaged or cut off", _AGAIN, _trouble("archive")),
    Rule(
        "EP106",
        "error",
        "The contract cannot be read",
        "Export the model again, or update edgeproof for a newer format.",
        _trouble("contract"),
    ),
    Rule("EP107", "error", "The model is not the one that was proved: its hash differs", _AGAIN, _trouble("hash")),
    Rule("EP108", "error", "The labels are not the ones that were proved", _AGAIN, _trouble("labels_hash")),
    Rule(
        "EP109",
        "error",
        "The appended files were changed since the export",
        f"{_AGAIN} edgeproof's runtime refuses it as it is.",
        _trouble("pack"),
    ),
    Rule(
        "EP110",
        "warning",
        "Bytes behind the model that belong to nothing",
        "Cut them off; if they are meant, append them as a zip and name them in the metadata.",
        _appended,
    ),
    Rule(
        "EP111",
        "note",
        "Appended files that the metadata does not name",
        "Name them in the metadata, or leave them away: other tools do not find them.",
        _unnamed,
    ),
    Rule(
        "EP112",
        "note",
        "No contract and no hash",
        "A changed or damaged copy cannot be told from the file that was tested. Export it with `edgeproof convert`.",
        _no_contract,
    ),
    Rule("EP113", "error", "A schema version that no runtime reads", _EXPORT, _version),
    Rule(
        "EP114",
        "note",
        "Constants that do not begin on a 16-byte boundary",
        "Pack the file with a writer that aligns buffers; mapped from disk, kernels would read them more slowly.",
        _misaligned,
    ),
    Rule("EP115", "note", "Constants that nothing reads", "Remove them: the file gets smaller.", _unused),
    Rule(
        "EP116",
        "note",
        "The same constants several times",
        "Let their tensors share one buffer: the file gets smaller.",
        _doubled,
    ),
)
