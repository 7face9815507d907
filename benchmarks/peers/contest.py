"""Contenders side by side: blocks in turn, forwards and backwards, so that a drift of the machine hits all alike.

Raw samples are kept; a ratio is one of medians, with a bootstrap interval over blocks.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RESAMPLES = 2000


@dataclass(frozen=True)
class Process:
    """A command that ran in a process of its own: wall time and peak resident memory."""

    seconds: float
    peak_mb: float
    stdout: str


def run(command: Sequence[str | Path], *, folder: Path = ROOT, **environment: str) -> Process:
    """Run a command in a folder and measure it. Raises `RuntimeError` with its stderr when it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(part) for part in command], stdout=out, stderr=err, env={**os.environ, **environment}, cwd=folder
        )
        # Of this child alone: RUSAGE_CHILDREN would be the peak of all of them so far.
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode:
            raise RuntimeError(f"{command[0]}: status {child.returncode}: {err.read()[-2000:].decode()}")
        return Process(seconds, usage.ru_maxrss / 1024, out.read().decode())


def blocks(contenders: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, list[float]]:
    """Call every contender once a round, in turn and then backwards; what each call gives."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders) if number % 2 == 0 else list(reversed(contenders))
        for name in names:
            found[name].append(contenders[name]())
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found


def ratio(slow: Sequence[float], fast: Sequence[float], *, seed: int = 0) -> tuple[float, float, float]:
    """How many times larger the median of `slow` is, with the 95 % bootstrap interval over rounds."""
    draw = np.random.default_rng(seed)
    one, other = np.asarray(slow, float), np.asarray(fast, float)
    picks = draw.integers(0, len(one), (RESAMPLES, len(one)))
    ratios = np.median(one[picks], axis=1) / np.median(other[picks], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(np.median(one) / np.median(other)), float(low), float(high)


def told(values: tuple[float, float, float]) -> str:
    """A ratio as text: 3.1 [2.9–3.4]."""
    return f"{values[0]:.2f} [{values[1]:.2f}–{values[2]:.2f}]"


def report(title: str, samples: Mapping[str, Sequence[float]], unit: str, extra: Mapping[str, object]) -> None:
    """Print the samples as one JSON document behind a line a contender."""
    print(f"# {title}")
    for name, values in samples.items():
        print(f"{name:<34} median {statistics.median(values):.4g} {unit}  ({min(values):.4g}–{max(values):.4g})")
    for name, value in extra.items():
        print(f"{name}: {value}")
    print(json.dumps({"title": title, "unit": unit, "samples": samples}))
