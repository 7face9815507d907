"""What a page that runs a model file has to know of it: the contract as JSON, with every constant that is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgeproof.deploy.subject import Subject, suffix
from edgeproof.runtime.contract import TensorFormat, Verification
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.pixels import Resize

MODEL = "model.tflite"
# Bytes 0 and 255 stand for these in edgeproof's files; see runtime/classifier.py.
RANGE = (0.0, 255.0)
# Between a figure and its unit, which stay on one line.
SPACE = "\u00a0"
INPUTS, OUTPUTS = ("float32", "uint8"), ("float32", "uint8")


class File(msgspec.Struct, frozen=True, kw_only=True):
    """The model file as it lies beside the page."""

    name: str
    size_bytes: int
    sha256: str


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The resize chain, and the background of transparent pictures."""

    steps: tuple[Resize, ...]
    background: tuple[int, int, int]


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The input tensor; bytes 0 to 255 stand for the two ends of `range`."""

    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None
    range: tuple[float, float] = RANGE


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A golden example: a picture beside the page, and what the file must answer to it."""

    picture: str
    shows: str
    label: str
    pixels_sha256: str
    expected: tuple[float, ...]


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """All golden examples, and up to which mean total variation distance answers are sound."""

    tolerance: float
    examples: tuple[Example, ...]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that the page offers."""

    file: str
    title: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page's scripts read, as contract.json."""

    name: str
    recipe: str
    file: File
    labels: tuple[str, ...]
    preprocessing: Chain
    input: Input
    output: TensorFormat
    verification: Verification | None
    golden: Golden | None
    samples: tuple[Sample, ...]


def described(subject: Subject, samples: Sequence[Sample] | None = None) -> Page:
    """All that a page needs of a file; the golden pictures are its samples unless others are given.

    Raises `ModelError` for a file that LiteRT.js cannot run.
    """
    refuse_unfit(subject)
    contract = subject.contract
    golden = _golden(subject)
    own = tuple(
        Sample(file=each.picture, title=f"Sample {number}")
        for number, each in enumerate(golden.examples if golden else (), 1)
    )
    return Page(
        name=contract.name,
        recipe=contract.recipe,
        file=File(name=MODEL, size_bytes=len(subject.content), sha256=subject.sha256),
        labels=subject.labels,
        preprocessing=Chain(
            steps=contract.preprocessing.steps,
            background=contract.preprocessing.background,
        ),
        input=Input(
            shape=contract.input.shape,
            dtype=contract.input.dtype,
            scale=contract.input.scale,
            zero_point=contract.input.zero_point,
        ),
        output=contract.output,
        verification=contract.verification,
        golden=golden,
        samples=own if samples is None else tuple(samples),
    )


def refuse_unfit(subject: Subject) -> None:
    """Raise `ModelError` for a file with tensors that LiteRT.js has no type for, or with a batch of any size."""
    name, taken, given = subject.file.path, subject.contract.input, subject.contract.output
    if taken.dtype not in INPUTS:
        raise ModelError(f"{name} takes {taken.dtype}, which LiteRT.js cannot. Export it with --input uint8.")
    if given.dtype not in OUTPUTS:
        raise ModelError(
            f"{name} gives {given.dtype}, which LiteRT.js cannot. Export it with --output float32 or uint8."
        )
    graph = Graph.read(subject.file.flatbuffer)
    signature = graph.tensors[graph.inputs[0]].shapeSignature
    if signature is not None and -1 in list(signature):
        raise ModelError(f"{name} takes batches of any size, which LiteRT.js cannot run. Export it with a batch of 1.")


def facts(subject: Subject, page: Page) -> list[tuple[str, str]]:
    """What the page says of the file, as pairs of a name and a sentence."""
    verified = page.verification
    steps = " → ".join(_step(step) for step in page.preprocessing.steps)
    ground = ", ".join(str(value) for value in page.preprocessing.background)
    accuracy = "not verified against the trained model"
    if verified is not None:
        low, high = verified.top1_interval
        interval = f"95{SPACE}% interval {_percent(low)} to {_percent(high)}"
        accuracy = (
            f"{_percent(verified.top1)} of {verified.images:,} test pictures right ({interval}); "
            f"the trained model {_percent(verified.reference_top1)}"
        )
    return [
        ("File", f"{page.name}, {page.file.size_bytes / 1e6:.2f}{SPACE}MB"),
        ("Recipe", page.recipe),
        ("Verified accuracy", accuracy),
        ("Input", _tensor(subject.contract.input)),
        ("Preprocessing", f"RGB, {steps}; transparency laid on RGB {ground}"),
        ("Output", _tensor(page.output)),
        ("SHA-256 of the file", page.file.sha256),
        ("Trained with", subject.contract.provenance.get("data", "not told")),
    ]


def _golden(subject: Subject) -> Golden | None:
    examples = subject.examples
    if examples is None:
        return None
    return Golden(
        tolerance=subject.tolerance,
        examples=tuple(
            Example(
                # The name in the file could be anything, and lead out of the folder.
                picture=f"golden/{number:02}{suffix(each.picture)}",
                shows=each.shows,
                label=each.label,
                pixels_sha256=each.pixels_sha256,
                expected=tuple(round(float(value), 6) for value in row),
            )
            for number, (each, row) in enumerate(zip(examples.golden.examples, examples.outputs, strict=True))
        ),
    )


def sample(path: Path, number: int) -> Sample:
    """A picture of the user's: under a file name without surprises, with its own name as the title."""
    return Sample(file=f"pictures/{number:02}{path.suffix.lower()}", title=path.stem)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}{SPACE}%"


def _step(step: Resize) -> str:
    how = "cut to" if step.fit == "crop" else "stretched to"
    return f"{how} {step.width}×{step.height} ({step.resample})"


def _tensor(tensor: TensorFormat) -> str:
    shape = "×".join(str(side) for side in tensor.shape)
    scale = f", scale {tensor.scale:g}, zero point {tensor.zero_point}" if tensor.scale is not None else ""
    return f"{tensor.dtype}, {shape}{scale}"
