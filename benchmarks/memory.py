"""How much memory this process holds, now and at its highest."""

import sys
from pathlib import Path

import psutil

STATUS = Path("/proc/self/status")


def resident_mb() -> float:
    """The resident memory of this process now, in MiB."""
    return float(psutil.Process().memory_info().rss) / 2**20


def peak_mb() -> float:
    """The highest resident memory of this process since its program was started, in MiB.

    Not `ru_maxrss` on Linux: that survives `exec`, so a process started by a large one inherits its peak.
    """
    if STATUS.exists():
        for line in STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return _peak_elsewhere()


def _peak_elsewhere() -> float:
    """The peak where there is no /proc; macOS counts `ru_maxrss` in bytes, other systems in kilobytes."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, resident_mb())
