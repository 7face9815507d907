"""What the part of a network that is not trained makes of pictures, run by LiteRT on all cores."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.interpreter import BATCH, Runner
from edgeproof.runtime.pixels import Pixels

logger = logging.getLogger(__name__)

# LiteRT's outputs differ from Keras' by rounding; by more than this share of the largest, they are another network's.
TOLERANCE = 1e-4
CHECKED = 8


class Frozen:
    """A part of a network, run by LiteRT: a third of Keras' time, and the same numbers but for rounding.

    Where `check` finds other numbers, Keras runs it.
    """

    def __init__(self, keras_part: Any) -> None:
        # In one row for each picture: a `Runner` takes its model for a classifier.
        rows = keras.Model(keras_part.inputs[0], keras.layers.Flatten()(keras_part.outputs[0]))
        self._flatbuffer = _converted(rows)
        self._keras = keras_part
        self.shape: tuple[int, ...] = tuple(keras_part.outputs[0].shape[1:])
        self._idle: deque[Runner] = deque()
        self._trusted = True

    def outputs(self, pixels: Pixels) -> NDArray[np.float32]:
        """Outputs of shape (n, …), float32, for pixels of shape (n, height, width, 3), uint8. Safe from all threads."""
        if not self._trusted:
            return np.asarray(self._keras(pixels.astype(np.float32), training=False))
        try:
            runner = self._idle.pop()
        except IndexError:
            runner = Runner(self._flatbuffer)
        try:
            parts = [
                runner.raw(pixels[start : start + BATCH].astype(np.float32)) for start in range(0, len(pixels), BATCH)
            ]
        finally:
            self._idle.append(runner)
        return np.concatenate(parts).reshape(len(pixels), *self.shape)

    def check(self, pixels: Pixels) -> None:
        """Leave the rest to Keras, and say so, where LiteRT's outputs for a few of the pictures are not Keras'."""
        if not self.agrees(pixels):
            self._trusted = False
            logger.warning("LiteRT's outputs of the frozen layers are not Keras': Keras runs them, which takes longer")

    def agrees(self, pixels: Pixels) -> bool:
        """Whether Keras' outputs for a few pictures are the same to 1e-4 of the largest."""
        few = pixels[:CHECKED]
        wanted = np.asarray(self._keras(few.astype(np.float32), training=False))
        return bool(np.abs(self.outputs(few) - wanted).max() <= TOLERANCE * np.abs(wanted).max())


def _converted(model: Any) -> bytes:
    """A float32 flatbuffer of a model, without the SavedModel that takes most of `from_keras_model`'s time."""
    call = tf.function(lambda inputs: model(inputs, training=False))
    inputs = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
    with silenced():
        graph = convert_variables_to_constants_v2(call.get_concrete_function(inputs))
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([graph]).convert())
