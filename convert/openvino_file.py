"""An ONNX graph as OpenVINO's pair of files, and these in OpenVINO.

The graph is read by `Core.read_model` and never by `openvino.convert_model`, which reports its use to a server.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgeproof.convert import telemetry
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import CONTRACT_NAME, LABELS_NAME, Contract
from edgeproof.runtime.labels import text as labels_text
from edgeproof.runtime.pixels import Pixels

# Where other tools of OpenVINO's keep what they say of a model, each below a name of its own.
SECTION = "edgeproof"

openvino = telemetry.openvino()


def write(graph: bytes, labels: tuple[str, ...], contract: Contract) -> dict[str, bytes]:
    """The weights and the graph by their suffixes, in float32, with labels and contract in the graph's `rt_info`."""
    model = openvino.Core().read_model(model=graph)
    model.set_rt_info(labels_text(labels), [SECTION, LABELS_NAME])
    model.set_rt_info(contracts.encode(contract).decode(), [SECTION, CONTRACT_NAME])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return {suffix: path.with_suffix(suffix).read_bytes() for suffix in (".bin", ".xml")}


class OpenVinoRunner:
    """OpenVINO's files on the processor, in float32 whatever else the processor has."""

    def __init__(self, path: Path) -> None:
        # Processors with bfloat16 compute in that unless told otherwise, and no longer give Keras' answers.
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        self._request = openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (n, height, width, 3) to shape (n, classes), float32."""
        return np.array(self._request.infer([pixels.astype(np.float32)])[0])
