"""Other makers' runtimes, imported so that they report nothing; else both leave an identifier in the user's home."""

from __future__ import annotations

import os
import sys
from typing import Any


def onnxruntime() -> Any:
    """ONNX Runtime's module. Raises `ModuleNotFoundError` where it is not installed."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def openvino() -> Any:
    """OpenVINO's module, which tells a server of its import where `openvino_telemetry` can be imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None forbids the import
    import openvino

    return openvino
