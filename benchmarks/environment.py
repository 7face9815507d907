"""The machine that a report speaks of: latency and memory are true of it alone."""

import os
import platform
from importlib import metadata
from pathlib import Path

import msgspec
import psutil

from edgeproof.runtime.pool import usable_cores

PACKAGES = ("edgeproof", "ai-edge-litert", "numpy", "pillow")
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
    usable = usable_cores()
    return Environment(
        cpu=_cpu(root / "proc/cpuinfo"),
        architecture=platform.machine(),
        cores=os.cpu_count() or usable,
        usable_cores=usable,
        memory_mb=psutil.virtual_memory().total // 2**20,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: _version(name) for name in PACKAGES},
        governor=_first_line(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        load_average=os.getloadavg() if hasattr(os, "getloadavg") else None,
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # edgeproof itself, run from a source tree that was never installed
        return "not installed"


def _cpu(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    named = (fields[key] for key in CPU_KEYS if fields.get(key))
    return next(named, platform.processor() or platform.machine() or "unknown")


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
