"""One question to a fresh process: JSON in, JSON out, and one line when it dies."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from edgeproof.runtime import ModelError

Answer = TypeVar("Answer")
TIME_LIMIT_S = 900.0


def command(module: str) -> tuple[str, ...]:
    """What starts a module of this package as a program, in this Python."""
    return (sys.executable, "-P", "-m", f"edgeproof.benchmarks.{module}")


def ask(
    command: Sequence[str], question: object, kind: type[Answer], *, about: str, limit_s: float = TIME_LIMIT_S
) -> Answer:
    """Give a process the question and decode its answer. Raises `ModelError` about `about` when it dies or hangs."""
    try:
        done = subprocess.run(command, input=msgspec.json.encode(question), capture_output=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        reason = f"no block was done within {limit_s:g} s. Give a smaller model"
        raise ModelError(_failure(about, reason)) from None
    except OSError as error:
        raise ModelError(_failure(about, f"no process could be started ({error.strerror})")) from None
    if done.returncode:
        raise ModelError(_failure(about, _reason(done.returncode, done.stderr)))
    try:
        return msgspec.json.decode(done.stdout, type=kind)
    except msgspec.MsgspecError as error:
        raise ModelError(_failure(about, f"the measuring process answered no block ({error})")) from None


def _failure(about: str, reason: str) -> str:
    return f"{about}: {reason.removesuffix('.')}."


def _reason(returncode: int, stderr: bytes) -> str:
    if returncode < 0:
        hint = "is there too little memory?" if -returncode == signal.SIGKILL else "export the model again"
        return f"the measuring process was killed by {signal.Signals(-returncode).name}; {hint}"
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"the measuring process ended with status {returncode}"
