"""Runs a flatbuffer on uint8 pixels: the one place where bytes become a tensor and a tensor probabilities."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import delegation, engine, structure
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.contract import TensorFormat
from edgeproof.runtime.delegation import Delegation
from edgeproof.runtime.errors import ModelError, first_line
from edgeproof.runtime.pixels import Pixels

Kernels = Literal["xnnpack", "builtin", "reference"]
# What LiteRT calls them.
_RESOLVERS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
# The fastest of 8, 16, 32, 64 here for MobileNetV2 at 96 px; more only takes memory.
BATCH = 32


@dataclass(frozen=True, slots=True)
class Loading:
    """How long LiteRT took, in ms: to make an interpreter, with the import of its library, and to allocate tensors."""

    interpreter_ms: float
    allocate_ms: float


class Runner:
    """A loaded model. Not for use by several threads at once: a shared interpreter mixes up its answers.

    `input_range` says what a float model takes for the bytes 0 and 255: (0, 255) unless another is given; None for an
    integer input that takes the bytes as they are (shifted for int8), whatever its scale. `kernels` are XNNPACK's where
    it has them ("xnnpack"), LiteRT's own ("builtin"), or its plain ones, a hundred times as slow ("reference").
    """

    def __init__(
        self,
        flatbuffer: bytes,
        *,
        num_threads: int = 1,
        input_range: tuple[float, float] | None = (0.0, 255.0),
        kernels: Kernels = "xnnpack",
    ) -> None:
        self._interpreter, self.loading = _load(flatbuffer, num_threads, kernels)
        self._lock = threading.Lock()
        self.input, self.output = self._describe()
        self._table = _byte_table(self.input, input_range or _range_of_plain_bytes(self.input))
        self._is_cast = self._table is not None and np.array_equal(self._table, np.arange(256))
        self._batch = self.input.shape[0]
        self._resizable = True

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (n, height, width, 3) to outputs of shape (n, classes), float32.

        Integer outputs are dequantised. The result is a copy. Raises `ValueError` for another shape or type.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != self.input.shape[1:]:
            wanted = ("n", *self.input.shape[1:])
            raise ValueError(f"Expected uint8 of shape {wanted}, got {pixels.dtype} {pixels.shape}.")
        outputs = np.empty((len(pixels), self.output.shape[-1]), np.float32)
        for start in range(0, len(pixels), BATCH):
            part = slice(start, start + BATCH)
            outputs[part] = self.leave(self.raw(self.enter(pixels[part])))
        return outputs

    def enter(self, pixels: Pixels) -> NDArray[Any]:
        """What stands in the input tensor for some uint8 pixels: the same shape, the input's dtype."""
        if self._table is None:
            return pixels
        # A cast gives the same numbers ten times as fast as a look-up where every byte stands for itself.
        return pixels.astype(self._table.dtype) if self._is_cast else self._table[pixels]

    def delegation(self) -> Delegation:
        """How many of the graph's operators a delegate took."""
        return delegation.found(self._interpreter)

    def close(self) -> None:
        """Nothing to end: the memory goes with the object."""

    def raw(self, values: NDArray[Any]) -> NDArray[Any]:
        """Run one batch of input tensors, (n, height, width, 3) in the input's dtype; the output tensors, copied."""
        with self._lock:
            return self._invoke(values)

    def leave(self, raw: NDArray[Any]) -> Probabilities:
        """Output tensors of shape (n, classes) as float32: integers are dequantised."""
        return _dequantised(raw, self.output)

    def _invoke(self, values: NDArray[Any]) -> NDArray[Any]:
        if not self._resize(len(values)):
            return np.concatenate([self._invoke(values[i : i + 1]) for i in range(len(values))])
        try:
            self._interpreter.set_tensor(self._input_index, values)
            self._interpreter.invoke()
            raw = self._interpreter.get_tensor(self._output_index)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"The model cannot be run by LiteRT ({first_line(error)}).") from None
        return np.asarray(raw.reshape(len(values), -1))

    def _resize(self, batch: int) -> bool:
        """Make room for a batch; False where the file has its batch size baked in."""
        if batch == self._batch:
            return True
        if not self._resizable:
            return False
        if self._allocated(batch):
            self._batch = batch
            return True
        self._resizable = False
        self._batch = self.input.shape[0]
        self._interpreter.resize_tensor_input(self._input_index, self.input.shape)
        self._interpreter.allocate_tensors()
        return batch == self._batch

    def _allocated(self, batch: int) -> bool:
        """Whether the graph takes this batch, and gives as many answers: a Reshape may fold them into one."""
        try:
            self._interpreter.resize_tensor_input(self._input_index, (batch, *self.input.shape[1:]))
            self._interpreter.allocate_tensors()
            given = self._interpreter.get_output_details()[0]["shape"]
        except (RuntimeError, ValueError):
            return False
        return bool(given[0] == batch)

    def _describe(self) -> tuple[TensorFormat, TensorFormat]:
        try:
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"The model cannot be read by LiteRT ({first_line(error)}).") from None
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(
                f"The model has {len(inputs)} inputs and {len(outputs)} outputs. An image classifier has one each."
            )
        self._input_index, self._output_index = inputs[0]["index"], outputs[0]["index"]
        taken, given = _format(inputs[0]), _format(outputs[0])
        if len(taken.shape) != 4 or taken.shape[0] != 1 or taken.shape[3] != 3:
            raise ModelError(f"The model's input has shape {taken.shape}. Expected (1, height, width, 3).")
        if not given.shape or given.shape[0] != 1 or int(np.prod(given.shape)) != given.shape[-1]:
            raise ModelError(f"The model's output has shape {given.shape}. Expected (1, classes).")
        return taken, given


def _load(flatbuffer: bytes, num_threads: int, kernels: Kernels) -> tuple[Any, Loading]:
    structure.check(flatbuffer)
    started = perf_counter()
    library = engine.interpreters()
    resolver = getattr(library.OpResolverType, _RESOLVERS[kernels])
    try:
        with silenced():
            interpreter = library.Interpreter(
                model_content=flatbuffer, num_threads=num_threads, experimental_op_resolver_type=resolver
            )
            made = perf_counter()
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"The model cannot be loaded by LiteRT ({first_line(error)}). Export it again.") from None
    return interpreter, Loading((made - started) * 1e3, (perf_counter() - made) * 1e3)


def _format(details: dict[str, Any]) -> TensorFormat:
    dtype = np.dtype(details["dtype"]).name
    scales, zero_points = (details["quantization_parameters"][key] for key in ("scales", "zero_points"))
    shape = tuple(int(size) for size in details["shape"])
    if dtype not in ("float32", "uint8", "int8", "int16"):
        raise ModelError(f"Tensor '{details['name']}' is {dtype}. Expected float32, uint8 or int8.")
    if len(scales) == 0:
        return TensorFormat(name=details["name"], shape=shape, dtype=dtype)
    return TensorFormat(
        name=details["name"], shape=shape, dtype=dtype, scale=float(scales[0]), zero_point=int(zero_points[0])
    )


def _range_of_plain_bytes(taken: TensorFormat) -> tuple[float, float]:
    """The range with which a picture's bytes go into an integer input as they are (shifted for int8)."""
    if taken.scale is None or taken.zero_point is None:
        return 0.0, 255.0
    first, last = (0, 255) if taken.dtype == "uint8" else (-128, 127)
    return (first - taken.zero_point) * taken.scale, (last - taken.zero_point) * taken.scale


def _byte_table(taken: TensorFormat, input_range: tuple[float, float]) -> NDArray[Any] | None:
    """What stands in the input tensor for each of the 256 bytes; None where a byte stands for itself."""
    low, high = input_range
    values = low + np.arange(256, dtype=np.float64) * (high - low) / 255
    if taken.scale is None or taken.zero_point is None:
        if taken.dtype not in ("float32", "uint8"):
            raise ModelError(f"The model's input is {taken.dtype} without a scale. Export it with one.")
        return values.astype(taken.dtype)
    limits = np.iinfo(taken.dtype)
    quantised = np.clip(np.rint(values / taken.scale) + taken.zero_point, limits.min, limits.max)
    table = quantised.astype(taken.dtype)
    return None if taken.dtype == "uint8" and np.array_equal(table, np.arange(256)) else table


def _dequantised(raw: NDArray[Any], given: TensorFormat) -> Probabilities:
    if given.scale is None or given.zero_point is None:
        return raw.astype(np.float32)
    return ((raw.astype(np.float32) - given.zero_point) * np.float32(given.scale)).astype(np.float32)
