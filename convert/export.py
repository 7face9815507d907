"""A Keras model to a TFLite flatbuffer, by recipe, with TensorFlow's converter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from edgeproof.convert.recipes import Recipe
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.pixels import Pixels


def export(model: Any, recipe: Recipe, calibration: Pixels) -> bytes:
    """Export a model that takes pixels 0–255 of shape (n, height, width, 3); the file's batch is fixed at 1.

    `calibration` has shape (n, height, width, 3), uint8; a float recipe does not look at it. Raises `ModelError`
    when the converter cannot.
    """
    # LiteRT.js runs no file whose batch is unknown; the Python interpreter still resizes a fixed one.
    shape = (1, *model.inputs[0].shape[1:])
    function = tf.function(lambda pixels: model(pixels, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="pixels"))
    try:
        # The converter warns of its own older interface, and of statistics that the calibration brings.
        with silenced(), warnings.catch_warnings(action="ignore", category=UserWarning):
            converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
            if recipe.is_integer:
                _make_integer(converter, calibration)
            return bytes(converter.convert())
    except (ConverterError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"The model cannot be exported as {recipe.name} ({_reason(error)}).") from None


def _reason(error: Exception) -> str:
    """The operators that TFLite lacks, where the converter names them among its many lines; else its first line."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    lacking = [line.strip() for line in lines if line.startswith(("TF Select ops: ", "Custom ops: "))]
    return "TFLite lacks some of its operators; " + "; ".join(lacking) if lacking else lines[0][:200]


def _make_integer(converter: Any, calibration: Pixels) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _samples(calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8


def _samples(calibration: Pixels) -> Iterator[list[Any]]:
    for picture in calibration:
        yield [picture[np.newaxis].astype(np.float32)]
