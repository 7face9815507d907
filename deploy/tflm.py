"""The real TFLite Micro interpreter, in a process of its own: an arena that is too small may end the process.

Arenas are those of the 64-bit interpreter of this machine. A 32-bit microcontroller has smaller pointers, so its
arena is not larger.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime import progress
from edgeproof.runtime.errors import ConfigError, ModelError
from edgeproof.runtime.pool import usable_cores

# No microcontroller has as much: what does not load in it has another reason.
LARGEST_ARENA = 2**28
# Pictures for one process: few, so that a bar moves, but more than its start costs.
PART = 20
_START = "from edgeproof.deploy.tflm import serve; serve()"
# What the interpreter writes to stderr of a graph that it cannot run, and of what it allocated.
_REASON = re.compile(r"not supported|Didn't find op|op for builtin opcode|custom op|unsupported|unimplemented", re.I)
_NODE = re.compile(r"Node (\w+) \(number (\d+)\)")
_PART = re.compile(r"Arena allocation (head|tail) (\d+) bytes")


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest arena that the interpreter runs in, in bytes.

    `persistent_bytes` of it hold its own structures and what kernels keep between calls; `shared_bytes` activations
    and scratch memory, which take turns.
    """

    arena_bytes: int
    persistent_bytes: int
    shared_bytes: int


def memory(flatbuffer: bytes) -> Memory:
    """Find the smallest arena, to the byte. Raises `ModelError` for a graph that TFLite Micro cannot run."""
    found, told = _child("memory", flatbuffer)
    parts = {name: int(size) for name, size in _PART.findall(told)}
    return Memory(arena_bytes=int(found[0]), persistent_bytes=parts["tail"], shared_bytes=parts["head"])


def answers(flatbuffer: bytes, values: NDArray[Any]) -> NDArray[Any]:
    """The output tensors for input tensors of shape (n, height, width, 3): shape (n, classes), in the output's dtype.

    Several processes share the work. Raises `ModelError` for a graph that TFLite Micro cannot run.
    """
    starts = range(0, len(values), PART)
    with progress.bar("TFLite Micro", len(values)) as advance, ThreadPoolExecutor(usable_cores()) as workers:
        parts = []
        for part, _ in workers.map(lambda start: _child("answers", flatbuffer, values[start : start + PART]), starts):
            parts.append(part)
            advance(len(part))
    return np.concatenate(parts)


def serve() -> None:
    """The child: one task on the files in a folder, and what was found beside them."""
    # Not on Windows, for which there is no tflite_micro either.
    import resource

    task, folder = sys.argv[1], Path(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    flatbuffer = (folder / "model.tflite").read_bytes()
    if task == "memory":
        found = np.array([_smallest(flatbuffer)], np.int64)
    else:
        values = np.load(folder / "values.npy")
        interpreter = _opened(flatbuffer, LARGEST_ARENA)
        found = np.concatenate([_answer(interpreter, each[np.newaxis]) for each in values])
    np.save(folder / "found.npy", found)


def _child(task: str, flatbuffer: bytes, values: NDArray[Any] | None = None) -> tuple[NDArray[Any], str]:
    """What a task found, and what the interpreter wrote meanwhile."""
    if find_spec("tflite_micro") is None:
        raise ConfigError("This needs tflite_micro. Install it with: pip install 'edgeproof[micro]'")
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(flatbuffer)
        if values is not None:
            np.save(folder / "values.npy", values)
        done = subprocess.run([sys.executable, "-c", _START, task, name], capture_output=True, text=True)
        if done.returncode:
            raise ModelError(f"TFLite Micro cannot run the graph: {_reason(done.stderr, done.returncode)}")
        return np.load(folder / "found.npy"), done.stderr


def _reason(told: str, status: int) -> str:
    lines = [line.strip() for line in told.splitlines()]
    words = next((line.rstrip(".") for line in lines if _REASON.search(line)), "")
    node = next((f"operator {found[2]}, {found[1]}" for line in lines if (found := _NODE.search(line))), "")
    if status < 0:
        words = f"it ended by signal {-status}"
    said = ", ".join(part for part in (node, words) if part) or (lines[-1] if lines else f"status {status}")
    return f"{said}. Fully integer files run there: `edgeproof convert --recipe int8 --input int8 --output int8`."


def _smallest(flatbuffer: bytes) -> int:
    """Bisect between an arena that is too small and one that is enough."""
    interpreter = _opened(flatbuffer, LARGEST_ARENA)
    details = interpreter.get_input_details(0)
    pixels = np.zeros(details["shape"], details["dtype"])
    _answer(interpreter, pixels)
    interpreter.print_allocations()
    works, fails = LARGEST_ARENA, 0
    while works - fails > 1:
        # By factors at first, since the answer is far nearer to the small end.
        size = int((works * max(fails, 1)) ** 0.5) if works > 2 * max(fails, 1) else (works + fails) // 2
        if _fits(flatbuffer, size):
            works = size
        else:
            fails = size
    _answer(_opened(flatbuffer, works), pixels)
    return works


def _fits(flatbuffer: bytes, size: int) -> bool:
    """Whether a graph can be allocated; tried in a copy of the process, because some failures are a crash."""
    copy = os.fork()
    if copy:
        return os.waitpid(copy, 0)[1] == 0
    # What it writes of this is no reason for anything.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        _opened(flatbuffer, size)
    except RuntimeError:
        os._exit(1)
    os._exit(0)


def _opened(flatbuffer: bytes, size: int) -> Any:
    # In the child alone: the library writes to the process's streams, and may end it.
    from tflite_micro.python.tflite_micro import runtime

    return runtime.Interpreter.from_bytes(flatbuffer, arena_size=size)


def _answer(interpreter: Any, values: NDArray[Any]) -> NDArray[Any]:
    interpreter.set_input(values, 0)
    interpreter.invoke()
    return np.array(interpreter.get_output(0))
