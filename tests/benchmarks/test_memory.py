import subprocess
import sys

import numpy as np

from edgeproof.benchmarks.memory import peak_mb, resident_mb

ASK = "from edgeproof.benchmarks.memory import peak_mb; print(peak_mb())"


def test_memory_grows_with_what_is_held():
    before = resident_mb()
    held = np.ones(8 * 2**20)
    assert resident_mb() - before > 50
    del held


def test_the_peak_outlives_what_was_held():
    held = np.ones(16 * 2**20)
    del held
    assert peak_mb() > 128


def test_a_child_does_not_inherit_the_peak_of_its_parent():
    held = np.ones(48 * 2**20)  # 384 MiB
    child_mb = float(subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True).stdout)
    assert child_mb < held.nbytes / 2**20 / 2
