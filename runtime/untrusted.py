"""Runs a model in a process of its own, with limits of memory and time: for files that nobody vouches for."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import IO, Any, BinaryIO, Self

import msgspec
import numpy as np

from edgeproof.runtime import engine, structure
from edgeproof.runtime.accuracy import Probabilities
from edgeproof.runtime.contract import TensorFormat
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.interpreter import BATCH, Runner
from edgeproof.runtime.pixels import Pixels

# Python, NumPy and LiteRT take 0.4 GB of addresses; the rest is room for weights and activations.
MEMORY_BYTES = 2**31
# Until Python, NumPy and LiteRT are there, which no file has a say in: a slow board takes seconds.
START_SECONDS = 20.0
# To load a model, and for a picture of a batch.
LOAD_SECONDS = 2.5
PICTURE_SECONDS = 2.5
# Every message is its length and its bytes. What comes from the child is never longer than these.
_LENGTH = struct.Struct("<Q")
_DESCRIPTION_BYTES = 2**20
_OUTPUTS_LIMIT = 2**24
_NONSENSE = "The process that runs the model gave no sensible answer. Do not use the file."
_READY = b"ready"
_START = "from edgeproof.runtime.untrusted import serve; serve()"


class _Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the child says of a loaded model, or why it could not load it."""

    input: TensorFormat | None = None
    output: TensorFormat | None = None
    error: str = ""


class UntrustedRunner:
    """A `Runner` in a child process, which may die of the model: that is a `ModelError` here, and nothing more.

    Pixels go to the child and floats come back, both as plain arrays of known sizes: what the child sends is only ever
    read as numbers. One child serves all pictures. After an error it is gone, and every further call says so.
    """

    def __init__(
        self,
        flatbuffer: bytes,
        *,
        num_threads: int = 1,
        input_range: tuple[float, float] | None = (0.0, 255.0),
        memory_bytes: int = MEMORY_BYTES,
        load_seconds: float = LOAD_SECONDS,
        picture_seconds: float = PICTURE_SECONDS,
    ) -> None:
        structure.check(flatbuffer)
        self._picture_seconds, self._lock = picture_seconds, threading.Lock()
        settings = {"num_threads": num_threads, "memory_bytes": memory_bytes, "seconds": math.ceil(load_seconds)}
        self._child = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # Else every thread asks for 64 MB of addresses of its own.
            env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        )
        for pipe in (self._child.stdin, self._child.stdout):
            os.set_blocking(_descriptor(pipe), False)
        self._deadline = time.monotonic() + START_SECONDS
        try:
            if self._receive(most=len(_READY)) != _READY:
                raise ModelError(_NONSENSE)
            self._deadline = time.monotonic() + load_seconds
            self._send(flatbuffer)
            self._send(json.dumps(input_range).encode())
            self.input, self.output = _described(self._receive(most=_DESCRIPTION_BYTES))
        except BaseException:
            self.close()
            raise

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Map uint8 pixels of shape (n, height, width, 3) to outputs of shape (n, classes), float32.

        Raises `ModelError` when LiteRT dies of them or takes too long, `ValueError` for another shape or type.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != self.input.shape[1:]:
            wanted = ("n", *self.input.shape[1:])
            raise ValueError(f"Expected uint8 of shape {wanted}, got {pixels.dtype} {pixels.shape}.")
        outputs = np.empty((len(pixels), self.output.shape[-1]), np.float32)
        for start in range(0, len(pixels), BATCH):
            outputs[start : start + BATCH] = self._answers(pixels[start : start + BATCH])
        return outputs

    def _answers(self, pixels: Pixels) -> Probabilities:
        shape = (len(pixels), self.output.shape[-1])
        size = 4 * math.prod(shape)
        with self._lock:
            self._deadline = time.monotonic() + self._picture_seconds * len(pixels)
            self._send(pixels.tobytes())
            # The first byte says whether floats follow, or the reason why there are none.
            answer = self._receive(most=max(size, _DESCRIPTION_BYTES) + 1)
        if answer[:1] == b"e":
            raise ModelError(answer[1:].decode(errors="replace"))
        if answer[:1] != b"f" or len(answer) != size + 1:
            self.close()
            raise ModelError(_NONSENSE)
        return np.frombuffer(answer, np.float32, offset=1).reshape(shape)

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Also of a runner whose process could not be started.
        if hasattr(self, "_child"):
            self.close()

    def _send(self, content: bytes) -> None:
        left = memoryview(_LENGTH.pack(len(content)) + content)
        while left:
            self._wait(self._child.stdin, select.POLLOUT)
            try:
                left = left[os.write(_descriptor(self._child.stdin), left[: 2**16]) :]
            except OSError:
                raise self._died() from None

    def _receive(self, most: int) -> bytes:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > most:
            self.close()
            raise ModelError(_NONSENSE)
        return self._read(length)

    def _read(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            self._wait(self._child.stdout, select.POLLIN)
            part = os.read(_descriptor(self._child.stdout), size - len(content))
            if not part:
                raise self._died()
            content += part
        return bytes(content)

    def _wait(self, pipe: IO[bytes] | None, event: int) -> None:
        """Wait until a pipe can be used. Raises `ModelError` at the deadline."""
        waiting = select.poll()
        waiting.register(_descriptor(pipe), event)
        if not waiting.poll(max(0.0, 1000 * (self._deadline - time.monotonic()))):
            self.close()
            raise ModelError("LiteRT took longer with the model than is allowed. Do not use the file.")

    def _died(self) -> ModelError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=1)
        status = self._child.returncode
        self.close()
        if status is not None and status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else "unknown"
            how = f"LiteRT crashed (signal {-status}, {name})"
        else:
            how = f"the process that loaded it ended (status {status})"
        return ModelError(f"The model is not safe to run: {how}. Do not use the file.")


def _descriptor(pipe: IO[bytes] | None) -> int:
    if pipe is None or pipe.closed:
        raise ModelError("The process that ran the model has ended. Open the file anew.")
    return pipe.fileno()


def _described(content: bytes) -> tuple[TensorFormat, TensorFormat]:
    """What the child says of the model; not believed where a `Runner` would not have said so."""
    try:
        said = msgspec.json.decode(content, type=_Described)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ModelError(_NONSENSE) from None
    if said.input is None or said.output is None:
        raise ModelError(said.error)
    sides = (*said.input.shape, *said.output.shape)
    fitting = len(said.input.shape) == 4 and said.input.shape[0] == 1 and len(said.output.shape) > 0
    if not fitting or min(sides) < 1 or math.prod(said.output.shape) > _OUTPUTS_LIMIT:
        raise ModelError(_NONSENSE)
    return said.input, said.output


def serve() -> None:
    """The child: limit itself, load the model that comes on stdin, and answer pictures until stdin ends."""
    settings = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    # Whatever LiteRT prints must not be taken for an answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _limit(settings["memory_bytes"], settings["seconds"])
    engine.interpreters()
    _answer(answers, _READY)
    flatbuffer, input_range = _message(sys.stdin.buffer), json.loads(_message(sys.stdin.buffer))
    try:
        span = None if input_range is None else (input_range[0], input_range[1])
        runner = Runner(flatbuffer, num_threads=settings["num_threads"], input_range=span)
    except (ModelError, MemoryError) as error:
        _answer(answers, msgspec.json.encode(_Described(error=_reason(error))))
        return
    _answer(answers, msgspec.json.encode(_Described(input=runner.input, output=runner.output)))
    while content := _message(sys.stdin.buffer):
        _limit(settings["memory_bytes"], settings["seconds"])
        pixels = np.frombuffer(content, np.uint8).reshape(-1, *runner.input.shape[1:])
        try:
            _answer(answers, b"f" + runner.probabilities(pixels).tobytes())
        except (ModelError, MemoryError) as error:
            _answer(answers, b"e" + _reason(error).encode())


def _limit(memory_bytes: int, seconds: int) -> None:
    """Memory for good; processor time from now on, so that no child outlives a parent that was killed."""
    import resource

    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used) + 64 * seconds, resource.RLIM_INFINITY))


def _message(stream: BinaryIO) -> bytes:
    """One message; nothing where the parent has gone."""
    head = stream.read(_LENGTH.size)
    return stream.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""


def _answer(stream: Any, content: bytes) -> None:
    left = memoryview(_LENGTH.pack(len(content)) + content)
    while left:
        left = left[stream.write(left) :]


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "The model needs more memory than is allowed. Do not use the file."
    return str(error)
