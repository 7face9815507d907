"""LiteRT's `CompiledModel` on the CPU behind the interface of `Runner`; it may end the process, so only in a child."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import ModelError
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pixels import Pixels


class CompiledRunner:
    """A model in LiteRT's newer interface, for batches of one size. Raises `ModelError` where it cannot be made."""

    def __init__(
        self, flatbuffer: bytes, *, num_threads: int, batch: int, input_range: tuple[float, float] | None
    ) -> None:
        # The interpreter knows how bytes become the input and outputs probabilities.
        self._runner = Runner(flatbuffer, input_range=input_range)
        self._batch = batch
        try:
            from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, Options

            options = Options(cpu_options=CpuOptions(num_threads=num_threads))
            self._model = CompiledModel.from_buffer(flatbuffer, options=options)
            if batch != 1:
                self._model.resize_input_tensor(0, (batch, *self._runner.input.shape[1:]), strict=False)
            self._inputs, self._outputs = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        except (ImportError, RuntimeError, ValueError, TypeError) as error:
            raise ModelError(f"CompiledModel cannot be made ({error}).") from None

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (batch, height, width, 3) to outputs of shape (batch, classes), float32."""
        taken, given = self._runner.input, self._runner.output
        values: NDArray[Any] = np.ascontiguousarray(self._runner.enter(pixels))
        if values.shape != (self._batch, *taken.shape[1:]):
            raise ValueError(f"Expected a batch of {self._batch}, got {values.shape}.")
        self._inputs[0].write(values)
        self._model.run_by_index(0, self._inputs, self._outputs)
        count = self._batch * given.shape[-1]
        raw = np.asarray(self._outputs[0].read(count, np.dtype(given.dtype).type)).reshape(self._batch, -1)
        return self._runner.leave(raw)
