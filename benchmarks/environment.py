"""The machine that a report speaks of: latency and memory are true of it alone."""

import os
import platform
from importlib import metadata
from pathlib import Path

import msgspec
import psutil

from edgeproof.runtime.pool import usable_cores

PACKAGES = ("edgeproof", "ai-edge-litert", "numpy", "pillow")
# The instructions that kernels of neural networks are written for, by the names in /proc/cpuinfo (ARM: asimd is NEON).
FLAGS = frozenset(
    "avx avx2 fma f16c avx512f avx512bw avx512_vnni avx512_bf16 avx512_fp16 avx_vnni amx_tile amx_int8 amx_bf16 "
    "neon asimd asimddp asimdhp i8mm bf16 sve sve2 sme".split()
)
# x86 says "model name", most ARM boards "Model" or "Hardware".
CPU_KEYS = ("model name", "Model", "Hardware", "cpu model")


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """One machine at one time. What the system does not tell is None; nothing here names its owner.

    `flags` are the processor's that matter to kernels of neural networks.
    """

    cpu: str
    architecture: str
    cores: int
    usable_cores: int
    memory_mb: int
    system: str
    python: str
    packages: dict[str, str]
    governor: str | None = None
    load_average: tuple[float, float, float] | None = None
    flags: tuple[str, ...] = ()


def environment(*, root: Path = Path("/")) -> Environment:
    """Describe this machine as it is now; `root` is where `proc` and `sys` are looked for."""
    usable, cpuinfo = usable_cores(), _fields(root / "proc/cpuinfo")
    return Environment(
        cpu=_cpu(cpuinfo),
        architecture=platform.machine(),
        cores=os.cpu_count() or usable,
        usable_cores=usable,
        memory_mb=psutil.virtual_memory().total // 2**20,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: _version(name) for name in PACKAGES},
        governor=_first_line(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        load_average=load_average(),
        flags=_flags(cpuinfo),
    )


def load_average() -> tuple[float, float, float] | None:
    """How many programs wanted a core over the last 1, 5 and 15 minutes; None where the system does not tell."""
    return os.getloadavg() if hasattr(os, "getloadavg") else None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # edgeproof itself, run from a source tree that was never installed
        return "not installed"


def _fields(cpuinfo: Path) -> dict[str, str]:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _cpu(fields: dict[str, str]) -> str:
    named = (fields[key] for key in CPU_KEYS if fields.get(key))
    return next(named, platform.processor() or platform.machine() or "unknown")


def _flags(fields: dict[str, str]) -> tuple[str, ...]:
    """x86 says "flags", ARM "Features"."""
    told = f"{fields.get('flags', '')} {fields.get('Features', '')}"
    return tuple(sorted(FLAGS.intersection(told.split())))


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
