"""What every generated project is filled with: the numbers of the contract, and the golden examples decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from edgeproof.deploy.subject import Subject, suffix
from edgeproof.runtime.contract import TensorFormat, sha256
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.pixels import Pixels, Resize, open_rgb

DTYPES = ("float32", "uint8", "int8")


@dataclass(frozen=True)
class Example:
    """A golden picture: its bytes as stored, upright RGB of shape (height, width, 3), and at the model's size.

    `name` is a number; the picture's own name could be anything. `sha256` is what the contract says of `pixels`.
    """

    name: str
    suffix: str
    stored: bytes
    decoded: Pixels
    pixels: Pixels
    sha256: str
    outputs: tuple[float, ...]

    @property
    def ppm(self) -> bytes:
        """The decoded picture as a binary PPM file, which every language reads in a few lines."""
        height, width = self.decoded.shape[:2]
        return b"P6\n%d %d\n255\n" % (width, height) + self.decoded.tobytes()

    @property
    def fnv1a(self) -> str:
        """The 64-bit FNV-1a hash of the contract's pixels, hexadecimal: a few lines where there is no SHA-256."""
        return f"{fnv1a(self.pixels.tobytes()):016x}"


@dataclass(frozen=True)
class Facts:
    """A file's contract as templates read it. `name` and `recipe` hold no sign that could end a comment."""

    name: str
    recipe: str
    content: bytes
    flatbuffer: bytes
    steps: tuple[Resize, ...]
    background: tuple[int, int, int]
    input: TensorFormat
    output: TensorFormat
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    tolerance: float
    top1: float | None
    images: int

    @property
    def width(self) -> int:
        """The model's width in pixels."""
        return self.steps[-1].width

    @property
    def height(self) -> int:
        """The model's height in pixels."""
        return self.steps[-1].height

    @property
    def sha256(self) -> str:
        """Of the whole file."""
        return sha256(self.content)

    @property
    def flatbuffer_sha256(self) -> str:
        """Of the graph alone, which is all that a microcontroller gets."""
        return sha256(self.flatbuffer)

    @property
    def table(self) -> str:
        """The expected outputs: name, hashes of the pixels, and probabilities, a golden picture a line."""
        rows = (
            [each.name, each.sha256, each.fnv1a, *(f"{value:.6f}" for value in each.outputs)] for each in self.examples
        )
        return "".join(" ".join(row) + "\n" for row in rows)


def facts(subject: Subject) -> Facts:
    """Read what a project needs. Raises `ModelError` for a contract that contradicts itself, and for other dtypes."""
    contract, file = subject.contract, subject.file
    _check(subject)
    verification = contract.verification
    return Facts(
        name=_plain(contract.name),
        recipe=_plain(contract.recipe),
        content=subject.content,
        flatbuffer=file.flatbuffer,
        steps=contract.preprocessing.steps,
        background=contract.preprocessing.background,
        input=contract.input,
        output=contract.output,
        labels=subject.labels,
        examples=_examples(subject),
        tolerance=subject.tolerance,
        top1=None if verification is None else verification.top1,
        images=0 if verification is None else verification.images,
    )


def fnv1a(content: bytes) -> int:
    """The 64-bit FNV-1a hash (Fowler, Noll, Vo)."""
    found = 0xCBF29CE484222325
    for byte in content:
        found = (found ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return found


def _examples(subject: Subject) -> tuple[Example, ...]:
    if subject.examples is None:
        return ()
    preprocessing, found = subject.contract.preprocessing, []
    for number, (picture, said) in enumerate(
        zip(subject.examples.pictures, subject.examples.golden.examples, strict=True)
    ):
        found.append(
            Example(
                name=f"{number:02}",
                suffix=suffix(said.picture),
                stored=picture,
                decoded=np.asarray(open_rgb(picture, preprocessing.background)),
                pixels=preprocessing.pixels(picture),
                sha256=said.pixels_sha256,
                outputs=tuple(float(value) for value in subject.examples.outputs[number]),
            )
        )
    return tuple(found)


def _check(subject: Subject) -> None:
    contract, path = subject.contract, subject.file.path
    for tensor in (contract.input, contract.output):
        if tensor.dtype not in DTYPES:
            raise ModelError(f"{path} has a {tensor.dtype} tensor; projects are made for {', '.join(DTYPES)}.")
        if (tensor.dtype == "float32") != (tensor.scale is None or tensor.zero_point is None):
            raise ModelError(f"{path}: its contract gives a {tensor.dtype} tensor a wrong scale. Export it again.")
    if contract.input.shape != (1, *contract.preprocessing.input_size, 3):
        raise ModelError(f"{path}: its contract names two input sizes. Export it again.")
    if contract.output.shape[-1:] != (len(subject.labels),):
        raise ModelError(f"{path}: {contract.output.shape} outputs, but {len(subject.labels)} labels. Export it again.")


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]", "-", text) or "model"
