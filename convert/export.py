"""A Keras model to a float32 flatbuffer, with TensorFlow's converter: every other recipe is made from that one."""

from __future__ import annotations

import warnings
from typing import Any

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.errors import ModelError


def export(model: Any) -> bytes:
    """Export a model that takes pixels 0–255 of shape (n, height, width, 3); the file's batch is fixed at 1.

    Raises `ModelError` when the converter cannot.
    """
    # LiteRT.js runs no file whose batch is unknown; the Python interpreter still resizes a fixed one.
    shape = (1, *model.inputs[0].shape[1:])
    function = tf.function(lambda pixels: model(pixels, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="pixels"))
    try:
        # The converter warns of its own older interface.
        with silenced(), warnings.catch_warnings(action="ignore", category=UserWarning):
            return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
    except (ConverterError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"The model cannot be exported ({_reason(error)}).") from None


def _reason(error: Exception) -> str:
    """The operators that TFLite lacks, where the converter names them among its many lines; else its first line."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    lacking = [line.strip() for line in lines if line.startswith(("TF Select ops: ", "Custom ops: "))]
    return "TFLite lacks some of its operators; " + "; ".join(lacking) if lacking else lines[0][:200]
