"""The check of a graph before LiteRT sees it: whether every number in it can be what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.operators import KINDS, WEIGHTED, Kind, multiply_accumulates
from edgeproof.runtime.shapes import INTEGERS, Operand, Unfit
from edgeproof.runtime.tables import MODEL, Tables

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
# More than the largest published classifiers take for one picture (EfficientNet-B7: 37e9 multiply-accumulates).
MEMORY_LIMIT = 2**30
WORK_LIMIT = 10**12
SIDE_LIMIT = 2**24
_TYPES = {
    **{0: ("float32", 4), 1: ("float16", 2), 2: ("int32", 4), 3: ("uint8", 1), 4: ("int64", 8), 6: ("bool", 1)},
    **{7: ("int16", 2), 9: ("int8", 1), 17: ("int4", 0.5)},
}
_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-(2**15), 2**15 - 1), "int4": (-8, 7)}
# How far the numbers of functions that can be fused go: none, ReLU, ReLU between -1 and 1, ReLU6.
_FUSED = range(4)


@dataclass(frozen=True, slots=True)
class Structure:
    """What the check found out: one run's largest memory for activations, and its multiply-accumulates."""

    operators: tuple[str, ...]
    peak_bytes: int
    multiply_accumulates: int


def check(flatbuffer: bytes) -> Structure:
    """Check a graph so that LiteRT can be given it. Raises `ModelError`: what is wrong, where, and what to do.

    It reads every offset, index, shape, scale and option that LiteRT goes by, in a few milliseconds, and believes
    none. What a classifier is (one input, one output) is left to who runs it.
    """
    if flatbuffer[4:8] != IDENTIFIER:
        raise ModelError("The model's flatbuffer is damaged: it lacks the mark TFL3. Get the file again.")
    return _Check(Tables(flatbuffer)).structure()


class _Check:
    """The parts of a graph while they are checked, one after the other."""

    def __init__(self, tables: Tables) -> None:
        self._tables, self._model = tables, tables.root(MODEL)
        if self._model["version"] != SCHEMA_VERSION:
            raise _wrong(f"it has schema version {self._model['version']}, and {SCHEMA_VERSION} is known")
        if len(self._model["subgraphs"]) != 1:
            raise _wrong(f"it has {len(self._model['subgraphs'])} subgraphs; a classifier has one")
        if self._model["external_groups"] or self._model["external_buffers"]:
            raise _wrong("it keeps weights in other files")
        self._graph = self._model["subgraphs"][0]
        self._buffers = [self._data(number, each) for number, each in enumerate(self._model["buffers"])]
        self._constants: set[int] = set()
        self._sizes: list[int] = []
        self._tensors = [self._tensor(number, each) for number, each in enumerate(self._graph["tensors"])]

    def structure(self) -> Structure:
        """Go through the operators in their order, as LiteRT will."""
        self._mentions()
        kinds = [self._kind(number, each) for number, each in enumerate(self._model["codes"])]
        taken = self._indices(self._graph["inputs"], "the graph's inputs")
        if not self._constants.isdisjoint(taken):
            raise _wrong("one of its inputs is a constant")
        known = self._constants.union(taken)
        names: list[str] = []
        last_use: dict[int, int] = {}
        work = 0
        for number, operator in enumerate(self._graph["operators"]):
            if operator["opcode"] >= len(kinds):
                raise _wrong(f"operator {number} is of kind {operator['opcode']} of {len(kinds)}")
            kind = kinds[operator["opcode"]]
            where = f"operator {number} ({kind.name})"
            taken, given = self._links(operator, kind, known, where)
            work += self._operator(operator, kind, taken, given, where)
            names.append(kind.name)
            last_use.update((tensor, number) for tensor in (*taken, *given))
        for tensor in self._indices(self._graph["outputs"], "the graph's outputs"):
            if tensor not in known or tensor in self._constants:
                raise _wrong(f"no operator gives its output, tensor {tensor}")
            last_use[tensor] = len(names)
        if work > WORK_LIMIT:
            raise _wrong(f"one picture would take {work:.1e} multiplications, more than {WORK_LIMIT:.0e}")
        return Structure(tuple(names), self._peak(last_use), work)

    def _data(self, number: int, buffer: Mapping[str, Any]) -> tuple[int, int]:
        """Where a buffer's bytes begin, and how many they are; they may lie behind the flatbuffer's tables."""
        start, length = buffer["data"] or (0, 0)
        if buffer["offset"] > 1:
            start, length = buffer["offset"], buffer["size"]
        if start + length > len(self._tables.content):
            raise _wrong(f"buffer {number} reaches out of the file")
        return start, length

    def _tensor(self, number: int, table: Mapping[str, Any]) -> Operand:
        name = table["name"]
        where = f"tensor {number} ('{name[:60]}')"
        if table["type"] not in _TYPES:
            raise _wrong(f"{where} has type {table['type']}, which no classifier needs")
        dtype, width = _TYPES[table["type"]]
        shape = () if table["shape"] is None else tuple(table["shape"].tolist())
        size = math.ceil(math.prod(shape) * width)
        if len(shape) > 8 or not all(1 <= side <= SIDE_LIMIT for side in shape) or size > MEMORY_LIMIT:
            raise _wrong(f"{where} has shape {shape[:8]}")
        self._signature(table["signature"], shape, where)
        if table["variable"] or table["sparsity"] is not None or table["variants"] or table["external"]:
            raise _wrong(f"{where} is sparse, variable or kept elsewhere, which is not supported")
        if table["buffer"] >= len(self._buffers):
            raise _wrong(f"{where} is in buffer {table['buffer']} of {len(self._buffers)}")
        start, length = self._buffers[table["buffer"]]
        if length:
            if length != size or start % min(4, max(1, int(width))):
                raise _wrong(f"{where} is {dtype} {shape}, {size} bytes, but its buffer has {length} at {start}")
            self._constants.add(number)
        self._sizes.append(size)
        integers = length and dtype in ("int32", "int64") and size <= 2**20
        values = np.frombuffer(self._tables.content, dtype, length // int(width), start) if integers else None
        return Operand(name, shape, dtype, _scales(table["quantisation"], shape, dtype, where), values)

    def _signature(self, signature: Any, shape: tuple[int, ...], where: str) -> None:
        """A shape's open sides: -1 where any size goes in."""
        if signature is None or not len(signature):
            return
        open_shape = signature.tolist()
        if len(open_shape) != len(shape) or any(o not in (-1, s) for o, s in zip(open_shape, shape, strict=True)):
            raise _wrong(f"{where} has shape {shape} but the signature {tuple(open_shape[:8])}")

    def _mentions(self) -> None:
        """What is not run, but looked up: names of tensors, and the buffers of metadata."""
        for entry in self._model["metadata"]:
            if entry["buffer"] >= len(self._buffers):
                raise _wrong(f"its metadata '{entry['name'][:60]}' are in buffer {entry['buffer']}")
        for signature in self._model["signatures"]:
            named = [each["tensor"] for each in (*signature["inputs"], *signature["outputs"])]
            if signature["subgraph"] != 0 or any(tensor >= len(self._tensors) for tensor in named):
                raise _wrong(f"its signature '{signature['key'][:60]}' names tensors {named[:8]}")

    def _kind(self, number: int, code: Mapping[str, Any]) -> Kind:
        # The number moved when there were more operators than seven bits hold; LiteRT takes the larger, too.
        found = max(code["old_code"], code["code"])
        if found == 32:
            raise _wrong(f"it has the custom operator '{code['custom_code'][:60]}', which LiteRT alone cannot run")
        if found not in KINDS:
            raise _wrong(f"it has an operator of number {found}, which is none of the {len(KINDS)} of classifiers")
        if not 1 <= code["version"] <= 64:
            raise _wrong(f"it has version {code['version']} of {KINDS[found].name}")
        return KINDS[found]

    def _indices(self, numbers: Any, where: str) -> list[int]:
        found: list[int] = [] if numbers is None else numbers.tolist()
        if any(not 0 <= number < len(self._tensors) for number in found) or len(set(found)) < len(found):
            raise _wrong(f"{where} are tensors {found[:8]} of {len(self._tensors)}")
        return found

    def _links(
        self, operator: Mapping[str, Any], kind: Kind, known: set[int], where: str
    ) -> tuple[list[int], list[int]]:
        """The tensors that an operator takes (-1: an absent bias) and gives; what it gives is known from then on."""
        taken = [] if operator["inputs"] is None else operator["inputs"].tolist()
        given = self._indices(operator["outputs"], f"the outputs of {where}")
        if len(taken) not in kind.inputs or (len(given) != 1 and kind.name != "SPLIT") or not given:
            raise _wrong(f"{where} has {len(taken)} inputs and {len(given)} outputs")
        for place, tensor in enumerate(taken):
            absent = tensor == -1 and place == 2 and kind.name in WEIGHTED
            if not absent and tensor not in known:
                raise _wrong(f"{where} takes tensor {tensor}, which no operator before it gives")
        for tensor in given:
            if tensor in known:
                raise _wrong(f"{where} gives tensor {tensor}, which is an input, a constant or given already")
        known.update(given)
        return taken, given

    def _operator(self, table: Mapping[str, Any], kind: Kind, taken: list[int], given: list[int], where: str) -> int:
        """Check one operator against its kind; how many multiply-accumulates it takes."""
        inputs = [None if tensor < 0 else self._tensors[tensor] for tensor in taken]
        outputs = [self._tensors[tensor] for tensor in given]
        options = self._options(table, kind, where)
        present = [each for each in (*inputs, *outputs) if each is not None]
        kept = {each.dtype for each in (present if kind.types == "same" else (present[0], *outputs))}
        if kind.types != "own" and len(kept) > 1:
            raise _wrong(f"{where} makes {' and '.join(sorted(kept))} of one another")
        if kind.scaled:
            _need_scales(kind, present, where)
        try:
            shape = kind.rule(inputs, options, outputs)
        except Unfit as unfit:
            raise _wrong(f"{where} {unfit}") from None
        if shape != outputs[0].shape:
            raise _wrong(f"{where} gives {shape}, but its output has shape {outputs[0].shape}")
        return multiply_accumulates(kind.name, inputs, outputs)

    def _options(self, table: Mapping[str, Any], kind: Kind, where: str) -> dict[str, Any]:
        mutating, between = table["mutating"], table["intermediates"]
        if (mutating is not None and mutating.any()) or (between is not None and len(between)):
            raise _wrong(f"{where} keeps a state, which no classifier needs")
        if table["options_2_type"] or table["custom_offset"] > 1:
            raise _wrong(f"{where} has options of a kind that is not known")
        if not kind.options:
            return {}
        if table["options_type"] != kind.options or table["options"] is None:
            if table["options"] is None and kind.optional:
                return {name: field.default for name, field in kind.fields.items()}
            raise _wrong(f"{where} lacks its options")
        options = self._tables.table(table["options"], kind.fields)
        if options.get("fused", 0) not in _FUSED:
            raise _wrong(f"{where} ends in function {options['fused']}, which is not known")
        return options

    def _peak(self, last_use: Mapping[int, int]) -> int:
        """The most bytes of activations that are needed at once. Raises `ModelError` past the limit."""
        ending: dict[int, list[int]] = {}
        for tensor, number in last_use.items():
            if tensor >= 0 and tensor not in self._constants:
                ending.setdefault(number, []).append(self._sizes[tensor])
        live: int = sum(self._sizes[tensor] for tensor in self._graph["inputs"].tolist())
        peak = live
        for number, operator in enumerate(self._graph["operators"]):
            live += sum(self._sizes[tensor] for tensor in operator["outputs"].tolist())
            peak = max(peak, live)
            live -= sum(ending.get(number, ()))
        if peak > MEMORY_LIMIT:
            raise _wrong(f"its activations would take {peak >> 20} MB, more than {MEMORY_LIMIT >> 20}")
        return peak


def _scales(table: Mapping[str, Any] | None, shape: tuple[int, ...], dtype: str, where: str) -> Any:
    """A tensor's scales, one or one a channel; None of floats and of plain integers."""
    if table is None:
        return None
    if table["details_type"]:
        raise _wrong(f"{where} is quantised in a way that is not known")
    scales, zero_points, axis = table["scale"], table["zero_point"], table["axis"]
    if scales is None or not len(scales):
        return None
    if len(scales) > 1 and (not 0 <= axis < len(shape) or len(scales) != shape[axis]):
        raise _wrong(f"{where} has {len(scales)} scales for dimension {axis} of {shape}")
    # Comparing is false for what is not a number.
    if not (scales.min() > 0 and scales.max() < math.inf if len(scales) > 1 else 0 < scales[0] < math.inf):
        raise _wrong(f"{where} has a scale that is not finite and positive")
    low, high = _RANGES.get(dtype, (0, 0))
    if zero_points is None or len(zero_points) not in (1, len(scales)):
        raise _wrong(
            f"{where} has {0 if zero_points is None else len(zero_points)} zero points for {len(scales)} scales"
        )
    if (
        zero_points.min() < low or zero_points.max() > high
        if len(zero_points) > 1
        else not low <= zero_points[0] <= high
    ):
        raise _wrong(f"{where} has a zero point outside of {low} to {high}")
    return scales


def _need_scales(kind: Kind, operands: Iterable[Operand], where: str) -> None:
    """Activations in integers have one scale; LiteRT divides by it."""
    for operand in operands:
        if operand.dtype in INTEGERS and operand.scales is None:
            raise _wrong(f"{where} needs a scale for '{operand.name[:60]}', {operand.dtype}")


def _wrong(what: str) -> ModelError:
    return ModelError(f"The model's graph is damaged or unsupported: {what}. Get or export the file again.")
