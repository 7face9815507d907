"""What other makers' runtimes leave behind when edgeproof loads them."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

SCRIPT = """
import sys
seen = []
sys.addaudithook(lambda event, values: seen.append(event) if event.startswith(("socket.", "subprocess.")) else None)
from edgeproof.convert import telemetry
print(telemetry.{name}().__version__)
sys.exit(bool(seen))
"""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_runtime_of_another_maker_is_loaded_without_its_telemetry(name, tmp_path):
    if find_spec(name) is None:
        pytest.skip(f"needs {name}")
    home = {
        **{key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"},
        "HOME": str(tmp_path),
    }
    run = subprocess.run([sys.executable, "-c", SCRIPT.format(name=name)], env=home, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout[0].isdigit()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
