"""Everything that a model file says of itself: its parts, operators, tensors, quantisation, metadata and contract."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeproof.runtime import contract as contracts
from edgeproof.runtime import footprint, specimen
from edgeproof.runtime.anatomy import Anatomy
from edgeproof.runtime.contract import Contract
from edgeproof.runtime.footprint import Footprint
from edgeproof.runtime.specimen import Specimen
from edgeproof.runtime.tflite_metadata import TfliteMetadata


class Scales(msgspec.Struct, frozen=True, kw_only=True):
    """real = scale · (integer - zero point). With several scales, one for each index along `axis`."""

    count: int
    axis: int
    least_scale: float
    largest_scale: float
    zero_points: tuple[int, ...]


class TensorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor. -1 in `signature` is a side of any length; `constant_bytes` is 0 for an activation."""

    number: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    constant_bytes: int
    scales: Scales | None = None


class OperatorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One operator, with the numbers of its tensors; -1 is an input that is left away."""

    number: int
    kind: str
    version: int
    custom: bool
    activation: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Arithmetic(msgspec.Struct, frozen=True, kw_only=True):
    """What the layers with weights compute in, and how the weights are quantised. Counts of operators."""

    float_layers: int
    integer_layers: int
    hybrid_layers: int
    per_channel: int
    per_tensor: int


class GraphFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The first subgraph. `kinds` counts operators by kind, the most frequent first."""

    description: str
    subgraphs: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kinds: dict[str, int]
    constant_bytes: int
    arithmetic: Arithmetic
    signatures: tuple[str, ...]
    tensors: tuple[TensorFacts, ...]
    operators: tuple[OperatorFacts, ...]


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is appended to the flatbuffer."""

    name: str
    size_bytes: int


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """A file. Parts that it lacks, or that cannot be read, are None; `troubles` says why."""

    schema: int = 1
    file: str
    size_bytes: int
    flatbuffer_bytes: int
    flatbuffer_sha256: str
    graph: GraphFacts | None
    metadata: TfliteMetadata | None
    contract: Contract | None
    labels: tuple[str, ...] | None
    appended: tuple[Appended, ...]
    troubles: dict[str, str]
    footprint: Footprint


def inspect(path: str | Path) -> Inspection:
    """Read all that a file says, as far as it can be read. Raises `ModelError` for no such file."""
    patient = specimen.opened(Path(path))
    return Inspection(
        file=str(path),
        size_bytes=len(patient.content),
        flatbuffer_bytes=len(patient.flatbuffer),
        flatbuffer_sha256=contracts.sha256(patient.flatbuffer),
        graph=_graph(patient),
        metadata=patient.metadata,
        contract=patient.contract,
        labels=patient.labels,
        appended=tuple(Appended(name=n, size_bytes=len(content)) for n, content in patient.attachments.items()),
        troubles=dict(patient.troubles),
        footprint=footprint.of_file(patient.content, patient.anatomy),
    )


def _graph(patient: Specimen) -> GraphFacts | None:
    body = patient.anatomy
    if body is None:
        return None
    model = body.model
    return GraphFacts(
        description=_text(model.description),
        subgraphs=len(model.subgraphs),
        inputs=tuple(body.inputs),
        outputs=tuple(body.outputs),
        kinds=dict(Counter(body.kinds).most_common()),
        constant_bytes=sum(size for _, size in patient.extents.buffers),
        arithmetic=_arithmetic(body),
        signatures=tuple(_text(each.signatureKey) for each in model.signatureDefs or []),
        tensors=tuple(_tensor(body, number) for number in range(len(body.graph.tensors))),
        operators=tuple(_operator(body, number) for number in range(len(body))),
    )


def _tensor(body: Anatomy, number: int) -> TensorFacts:
    return TensorFacts(
        number=number,
        name=body.name(number),
        dtype=body.dtype(number),
        shape=body.shape(number),
        signature=body.signature(number),
        constant_bytes=body.stored(number),
        scales=_scales(body, number),
    )


def _scales(body: Anatomy, number: int) -> Scales | None:
    scales, zeros = body.scales(number), body.zero_points(number)
    if not len(scales):
        return None
    # JSON has no numbers for what is none: such a scale is told by the doctor.
    finite = np.nan_to_num(scales, nan=0.0, posinf=0.0, neginf=0.0)
    same = len(set(zeros.tolist())) == 1
    return Scales(
        count=len(scales),
        axis=body.axis(number),
        least_scale=float(finite.min()),
        largest_scale=float(finite.max()),
        zero_points=tuple(zeros.tolist()[:1] if same else zeros.tolist()),
    )


def _operator(body: Anatomy, number: int) -> OperatorFacts:
    return OperatorFacts(
        number=number,
        kind=body.kinds[number],
        version=body.version(number),
        custom=body.is_custom(number),
        activation=body.activation(number),
        inputs=tuple(body.takes[number]),
        outputs=tuple(body.gives[number]),
    )


def _arithmetic(body: Anatomy) -> Arithmetic:
    layers = [(body.is_integer(body.takes[n][0]), body.is_integer(body.takes[n][1])) for n in body.weighted()]
    counts = [len(body.scales(body.takes[n][1])) for n in body.weighted() if body.is_integer(body.takes[n][1])]
    return Arithmetic(
        float_layers=sum(not weights for _, weights in layers),
        integer_layers=sum(taken and weights for taken, weights in layers),
        hybrid_layers=sum(weights and not taken for taken, weights in layers),
        per_channel=sum(count > 1 for count in counts),
        per_tensor=sum(count == 1 for count in counts),
    )


def _text(found: Any) -> str:
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found or "")
