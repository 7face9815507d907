"""Where LiteRT's interpreter comes from: its own package, or one of the two that it was part of before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edgeproof.runtime.errors import ModelError

# The first that can be imported. Only the first is installed with edgeproof.
MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite.python.interpreter")


def interpreters() -> Any:
    """The module with `Interpreter` and `OpResolverType`. Raises `ModelError` where there is none."""
    for name in MODULES:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name.partition(".")[0]):
                raise
    raise ModelError("No interpreter of TFLite models is installed. Install one with: pip install ai-edge-litert")
