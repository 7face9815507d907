"""Files for other runtimes beside the .tflite ones: ONNX and OpenVINO, held against Keras by the same gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from edgeproof.convert import keeping, verification
from edgeproof.convert.reference import Reference
from edgeproof.convert.verification import Evidence, Result
from edgeproof.runtime import answers
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import Contract, Quantisation, TensorFormat
from edgeproof.runtime.errors import ConfigError
from edgeproof.runtime.labels import text as labels_text
from edgeproof.runtime.pool import Answering

# Each is the name of its extra, too.
NAMES = ("onnx", "openvino")
# All of them are made of the Keras model's own weights.
RECIPE = "float32"


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `write` makes the files of an ONNX graph, by suffix and the one to open last; `open` runs it.

    `packages` are those that had a hand in it.
    """

    name: str
    write: Callable[[bytes, tuple[str, ...], Contract], dict[str, bytes]]
    open: Callable[[Path], Answering]
    packages: tuple[str, ...]


def named(name: str) -> Format:
    """The format of a name. Raises `ConfigError` for others, `ModuleNotFoundError` where its extra is not installed."""
    if name not in NAMES:
        raise ConfigError(f"--also {name}: unknown format. Known are {', '.join(NAMES)}.")
    from edgeproof.convert import onnx_file

    if name == "onnx":
        return Format("onnx", onnx_file.write, onnx_file.OnnxRunner, ("tf2onnx",))
    from edgeproof.convert import openvino_file

    return Format("openvino", openvino_file.write, openvino_file.OpenVinoRunner, ("tf2onnx", "openvino"))


def export(
    wanted: Sequence[Format], reference: Reference, evidence: Evidence, *, stem: str, folder: Path, max_drop: float
) -> tuple[Result, ...]:
    """Write the model in every format, verified on the evidence; what drops too much is kept as rejected.

    Raises `ModelError` when tf2onnx cannot export the model.
    """
    if not wanted:
        return ()
    from edgeproof.convert import onnx_file

    graph = onnx_file.export(reference.model)
    contract = _contract(graph, onnx_file.operators(graph), f"{stem}-{RECIPE}", reference, evidence)
    return tuple(_export_one(each, graph, contract, evidence, folder=folder, max_drop=max_drop) for each in wanted)


def _export_one(
    kind: Format, graph: bytes, draft: Contract, evidence: Evidence, *, folder: Path, max_drop: float
) -> Result:
    labels = evidence.test.labels
    made_by = {package: version(package) for package in kind.packages}
    unverified = structs.replace(draft, provenance={**draft.provenance, **made_by})
    outputs = _outputs(kind, kind.write(graph, labels, unverified), evidence)
    found = verification.compare(outputs, evidence.outputs, evidence.test)
    files = kind.write(graph, labels, structs.replace(unverified, verification=found))
    result = verification.judge(
        outputs, evidence, file=draft.name, recipe=kind.name, content=b"".join(files.values()), max_drop=max_drop
    )
    return keeping.keep(result, files, folder, draft.name)


def _outputs(kind: Format, files: Mapping[str, bytes], evidence: Evidence) -> Probabilities:
    """What the files answer, as they lie in a folder."""
    with TemporaryDirectory() as scratch:
        for suffix, content in files.items():
            (Path(scratch) / f"trial{suffix}").write_bytes(content)
        return answers.of_one(kind.open(Path(scratch) / f"trial{list(files)[-1]}"), evidence.test, kind.name)


def _contract(graph: bytes, operators: int, name: str, reference: Reference, evidence: Evidence) -> Contract:
    """As of a .tflite file; `model_sha256` is over the ONNX graph without metadata, in both formats."""
    return Contract(
        name=name,
        recipe=RECIPE,
        preprocessing=evidence.test.preprocessing,
        labels_sha256=contracts.sha256(labels_text(reference.labels).encode()),
        model_sha256=contracts.sha256(graph),
        input=TensorFormat(name="pixels", shape=(1, *reference.size, 3), dtype="float32"),
        output=TensorFormat(name="probabilities", shape=(1, len(reference.labels)), dtype="float32"),
        quantisation=Quantisation(
            operators=operators, float_operators=operators, per_channel_weights=0, per_tensor_weights=0
        ),
        provenance={
            **reference.provenance,
            "edgeproof": version("edgeproof"),
            "tensorflow": version("tensorflow"),
        },
    )
