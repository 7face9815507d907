import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
from edgeproof.benchmarks.compiled import CompiledRunner
from edgeproof.runtime import modelfile
from edgeproof.runtime.interpreter import Runner
flatbuffer = modelfile.read(sys.argv[1]).flatbuffer
pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
model = CompiledRunner(flatbuffer, num_threads=1, batch=2, input_range=(0.0, 255.0))
print(float(np.abs(model.probabilities(pixels) - Runner(flatbuffer).probabilities(pixels)).max()))
"""


def test_the_newer_interface_answers_as_the_interpreter_does(tiny_model_path):
    # In a process of its own, which is how it is used: it may end it.
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tiny_model_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1e-5
