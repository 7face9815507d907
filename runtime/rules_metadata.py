"""The doctor's rules about what a file says of itself: metadata, labels, contract. See docs/doctor.md."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.findings import Rule, Seen, listed
from edgeproof.runtime.specimen import Specimen
from edgeproof.runtime.tflite_metadata import Normalisation, TensorMetadata


def _no_normalisation(specimen: Specimen) -> Iterator[Seen]:
    body, image = specimen.anatomy, specimen.image
    if body is None or image is None or not body.is_float(image) or specimen.contract is not None:
        return
    if _normalisation(specimen) is None:
        said = "has metadata without a normalisation" if specimen.metadata else "has no metadata"
        yield Seen(f"the input '{body.name(image)}' is {body.dtype(image)}, and the file {said}", (body.name(image),))


def _impossible_normalisation(specimen: Specimen) -> Iterator[Seen]:
    found = _normalisation(specimen)
    if found is None or specimen.anatomy is None:
        return
    channels = specimen.anatomy.shape(specimen.anatomy.inputs[0])[-1]
    if not found.std or not all(math.isfinite(std) and std > 0 for std in found.std):
        yield Seen(f"std is {_numbers(found.std)}; values are divided by it")
    elif len(found.mean) != len(found.std) or len(found.mean) not in (1, channels):
        yield Seen(f"{len(found.mean)} means and {len(found.std)} deviations for {channels} channels")
    elif specimen.contract is not None and _differs(found, 0.0, 1.0):
        said = f"mean {_numbers(found.mean)}, std {_numbers(found.std)}"
        yield Seen(f"metadata: {said}; contract: raw pixels 0 to 255, which is mean 0, std 1")


def _other_normalisation(specimen: Specimen) -> Iterator[Seen]:
    body, image, found = specimen.anatomy, specimen.image, _normalisation(specimen)
    if body is None or image is None or found is None or not found.mean or not found.std or not all(found.std):
        return
    if body.dtype(image) not in ("int8", "uint8") or not body.scale(image) > 0:
        return
    scale, shift = body.scale(image), 128 if body.dtype(image) == "int8" else 0
    # A byte stands for (byte - zero) · scale, and should stand for (byte - mean) / std.
    zero = int(body.zero_points(image)[0]) + shift
    if any(abs(std * scale - 1) > 0.02 for std in found.std) or any(abs(mean - zero) > 1.5 for mean in found.mean):
        said = f"metadata: mean {_numbers(found.mean)}, std {_numbers(found.std)}"
        yield Seen(f"{said}; quantisation: mean {zero}, std {1 / scale:.4g}", (body.name(image),))


def _grey(specimen: Specimen) -> Iterator[Seen]:
    taken, body = _first(specimen), specimen.anatomy
    if taken is None or body is None or specimen.image is None:
        return
    channels = body.shape(specimen.image)[-1]
    if (taken.colour, channels) in (("GRAYSCALE", 3), ("RGB", 1)):
        yield Seen(f"metadata: {taken.colour}; the input has {channels} channels")


def _tensors(specimen: Specimen) -> Iterator[Seen]:
    if specimen.anatomy is None or specimen.metadata is None:
        return
    for said, there, what in (
        (specimen.metadata.inputs, specimen.anatomy.inputs, "inputs"),
        (specimen.metadata.outputs, specimen.anatomy.outputs, "outputs"),
    ):
        if said and len(said) != len(there):
            yield Seen(f"metadata: {len(said)} {what}; the graph has {len(there)}")


def _unreadable(specimen: Specimen) -> Iterator[Seen]:
    if "metadata" in specimen.troubles:
        yield Seen(specimen.troubles["metadata"])


def _not_attached(specimen: Specimen) -> Iterator[Seen]:
    named = [file.name for file in specimen.metadata.all_files] if specimen.metadata else []
    missing = [name for name in named if name not in specimen.attachments]
    if missing and "archive" not in specimen.troubles:
        yield Seen(f"{listed(missing)}; {len(specimen.attachments)} files are appended", tuple(missing))


def _size(specimen: Specimen) -> Iterator[Seen]:
    body, image = specimen.anatomy, specimen.image
    if body is None or image is None:
        return
    takes = body.shape(image)[1:3]
    says = {"contract": specimen.contract.preprocessing.input_size} if specimen.contract else {}
    taken = _first(specimen)
    if taken is not None and taken.size and all(taken.size):
        says["metadata"] = taken.size
    for where, size in says.items():
        if tuple(size) != takes:
            yield Seen(f"{where}: {size[0]}×{size[1]}; the input takes {takes[0]}×{takes[1]}", (body.name(image),))


def _described(specimen: Specimen) -> Iterator[Seen]:
    body, contract = specimen.anatomy, specimen.contract
    if body is None or contract is None or len(body.inputs) != 1 or len(body.outputs) != 1:
        return
    for said, tensor in ((contract.input, body.inputs[0]), (contract.output, body.outputs[0])):
        there = f"{body.dtype(tensor)}{_steps(body, tensor)}"
        scale = "" if said.scale is None else f" in steps of {said.scale:.6g} from {said.zero_point}"
        if there != f"{said.dtype}{scale}" or tuple(said.shape) != body.shape(tensor):
            yield Seen(f"'{body.name(tensor)}': contract {said.dtype}{scale}, graph {there}", (body.name(tensor),))


def _steps(body: Anatomy, tensor: int) -> str:
    scale = body.scale(tensor)
    return "" if math.isnan(scale) else f" in steps of {scale:.6g} from {body.zero_points(tensor)[0]}"


def _first(specimen: Specimen) -> TensorMetadata | None:
    return specimen.metadata.inputs[0] if specimen.metadata and specimen.metadata.inputs else None


def _normalisation(specimen: Specimen) -> Normalisation | None:
    taken = _first(specimen)
    return taken.normalisation if taken is not None and specimen.image is not None else None


def _differs(found: Normalisation, mean: float, std: float) -> bool:
    return any(abs(each - mean) > 1e-3 for each in found.mean) or any(abs(each / std - 1) > 1e-3 for each in found.std)


def _numbers(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:g}" for value in values) or "missing"


_WRITE = "Write the metadata again, with the mean and deviation that the model was trained with."
RULES: tuple[Rule[Specimen], ...] = (
    Rule(
        "EP201",
        "warning",
        "A float input, and nothing says what range it takes",
        "Add normalisation metadata. `edgeproof doctor --data PICTURES --try-ranges` finds the likely range.",
        _no_normalisation,
    ),
    Rule("EP202", "error", "The normalisation in the metadata cannot be right", _WRITE, _impossible_normalisation),
    Rule(
        "EP203",
        "warning",
        "The normalisation in the metadata is not that of the quantised input",
        f"{_WRITE} Clients that follow the metadata and those that feed bytes get different answers.",
        _other_normalisation,
    ),
    Rule("EP204", "warning", "The metadata's colour space is not the input's", "Write the metadata again.", _grey),
    Rule(
        "EP205",
        "error",
        "The metadata describes other tensors than the graph has",
        "Write the metadata again: MediaPipe and ML Kit refuse the file.",
        _tensors,
    ),
    Rule(
        "EP206",
        "error",
        "The metadata cannot be read",
        "Write the metadata again: MediaPipe and ML Kit refuse the file.",
        _unreadable,
    ),
    Rule(
        "EP207",
        "error",
        "The metadata names files that are not appended",
        "Append them again: tools that rewrite a flatbuffer drop what stands behind it.",
        _not_attached,
    ),
    Rule(
        "EP214",
        "error",
        "Pictures would be resized to another size than the input's",
        "Export the model again, or write its metadata again.",
        _size,
    ),
    Rule("EP215", "error", "The contract describes other tensors than the graph has", "Export it again.", _described),
)
