"""A Keras model as an ONNX file, by tf2onnx, and that file in ONNX Runtime."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from edgeproof.convert import telemetry
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, Contract
from edgeproof.runtime.errors import ModelError, first_line
from edgeproof.runtime.labels import text as labels_text
from edgeproof.runtime.pixels import Pixels

# Every ONNX Runtime of the last years has it.
OPSET = 18
PIXELS, PROBABILITIES = "pixels", "probabilities"

onnxruntime = telemetry.onnxruntime()


def export(model: Any) -> bytes:
    """Export a model that takes pixels 0–255, as ONNX without metadata: float32 of shape (batch, height, width, 3).

    The batch is open. Raises `ModelError` when tf2onnx cannot, or leaves an operator that ONNX lacks.
    """
    shape = (None, *model.inputs[0].shape[1:])
    function = tf.function(lambda pixels: model(pixels, training=False))
    taken = [tf.TensorSpec(shape, tf.float32, name=PIXELS)]
    try:
        with silenced():
            found, _ = tf2onnx.convert.from_function(function, input_signature=taken, opset=OPSET)
        _name_ends(found.graph)
        onnx.checker.check_model(found)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"The model cannot be exported as ONNX ({first_line(error)[:200]}).") from None
    return bytes(found.SerializeToString(deterministic=True))


def operators(graph: bytes) -> int:
    """How many operators an ONNX graph has."""
    return len(onnx.load_from_string(graph).graph.node)


def write(graph: bytes, labels: tuple[str, ...], contract: Contract) -> dict[str, bytes]:
    """The file by its suffix: the graph with labels and contract as metadata, under the names that .tflite has."""
    model = onnx.load_from_string(graph)
    about = {LABELS_NAME: labels_text(labels), CONTRACT_NAME: contracts.encode(contract).decode()}
    onnx.helper.set_model_props(model, about)
    model.producer_name, model.producer_version = "edgeproof", version("edgeproof")
    return {".onnx": bytes(model.SerializeToString(deterministic=True))}


class OnnxRunner:
    """An ONNX file in ONNX Runtime, on the processor."""

    def __init__(self, path: Path) -> None:
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (n, height, width, 3) to shape (n, classes), float32."""
        return np.asarray(self._session.run([PROBABILITIES], {PIXELS: pixels.astype(np.float32)})[0])


def _name_ends(graph: Any) -> None:
    """Call the output `probabilities`, in the place of tf2onnx' Identity:0, and the first side of both ends `batch`."""
    given, before = graph.output[0], graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [PROBABILITIES if name == before else name for name in names]
    given.name = PROBABILITIES
    for end in (graph.input[0], given):
        end.type.tensor_type.shape.dim[0].dim_param = "batch"
