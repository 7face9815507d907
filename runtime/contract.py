"""The contract: what an exported file says of itself in `edgeproof.json`. See docs/model-file.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.pixels import Preprocessing

FORMAT = 1
CONTRACT_NAME = "edgeproof.json"
LABELS_NAME = "labels.txt"


class TensorFormat(msgspec.Struct, frozen=True, kw_only=True):
    """One input or output tensor. `scale` and `zero_point` are None for float tensors."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


class Quantisation(msgspec.Struct, frozen=True, kw_only=True):
    """What the operators of the file compute in, read from the file and not assumed."""

    operators: int
    float_operators: int
    per_channel_weights: int
    per_tensor_weights: int
    multiply_accumulates: int = 0
    integer_multiply_accumulates: int = 0


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Which training images set the activations' ranges: their number, and a digest of their hashes.

    `classes` is 0 where they are not known. `movement` is the share of their width by which nine of ten ranges
    still moved at most when the number of images was last doubled; None where that was not looked at.
    """

    images: int
    classes: int
    seed: int
    digest: str
    estimator: str = "min-max"
    movement: float | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The file against its Keras model on the same uint8 pixels of the test set. Shares are 0 to 1."""

    images: int
    images_digest: str
    reference_top1: float
    reference_top5: float
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    drop_points: float
    same_answers: float
    different_answers: int
    largest_margin_of_a_different_answer: float
    ties: int


class GoldenExample(msgspec.Struct, frozen=True, kw_only=True):
    """A picture in the archive with the file's answer. `shows` is what the picture tries: plain, exif, alpha, size.

    `sha256` is of the picture's bytes, `pixels_sha256` of the pixels that the preprocessing makes of them.
    """

    picture: str
    sha256: str
    pixels_sha256: str
    label: str
    shows: str


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures that travel in the file, and what it must answer. See `runtime/golden.py`.

    `expected` names the table of outputs. `tolerance` is the mean total variation distance, 0 to 1, up to which other
    kernels may answer otherwise; `reveals` is how far each fault of `runtime/faults.py` moves the answers.
    """

    examples: tuple[GoldenExample, ...]
    expected: str
    expected_sha256: str
    tolerance: float
    reveals: dict[str, float]


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a client needs besides the graph, and the proof that the graph is the one meant.

    `repairs` are the steps that integer weights went through, `left_in_float` the layers an integer recipe spared.
    `model_sha256` is over the flatbuffer: the file's bytes up to the appended archive. Nothing in here
    depends on the clock or the machine, so the same model and data give the same file.
    """

    name: str
    recipe: str
    preprocessing: Preprocessing
    labels_sha256: str
    model_sha256: str
    input: TensorFormat
    output: TensorFormat
    quantisation: Quantisation
    repairs: tuple[str, ...] = ()
    left_in_float: tuple[str, ...] = ()
    calibration: Calibration | None = None
    verification: Verification | None = None
    golden: Golden | None = None
    provenance: dict[str, str] = {}
    format: int = FORMAT


def encode(contract: Contract) -> bytes:
    """The contract as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(contract), indent=1)


def decode(content: bytes, where: str) -> Contract:
    """Read a contract. Raises `ModelError`, naming `where`, for an unknown format or missing parts."""
    try:
        found = msgspec.json.decode(content, type=_Versioned).format
        if found != FORMAT:
            remedy = "Update edgeproof" if found > FORMAT else "Export the model again"
            raise ModelError(f"{where}: contract format {found}; this edgeproof reads format {FORMAT}. {remedy}.")
        return msgspec.json.decode(content, type=Contract)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{where}: its {CONTRACT_NAME} is damaged ({error}). Export the model again.") from None


def digest(hashes: Iterable[str]) -> str:
    """One sha256 for a set of hashes, whatever their order."""
    return sha256("\n".join(sorted(hashes)).encode())


def sha256(content: bytes) -> str:
    """The hexadecimal sha256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


class _Versioned(msgspec.Struct):
    format: int
