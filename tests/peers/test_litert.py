"""litert-cli, in an environment of its own (`make peers`), on exported files as they are."""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeproof import models
from edgeproof.runtime import Classifier, golden

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / os.environ.get("EDGEPROOF_PEERS", ".venv-peers") / "litert" / "bin"
RUN = os.environ.get("EDGEPROOF_PEER_RUN", "")

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not (PROGRAMS / "litert").is_file(), reason=f"no litert-cli in {PROGRAMS}: run `make peers`"),
]


def exported():
    """The shipped file, and those of a run."""
    files = sorted((ROOT / RUN / "export").glob("*.tflite")) if RUN else []
    return [models.path(models.CLASSIFIER), *files]


def run(program, *arguments, home):
    """What a program of litert-cli prints; its caches and settings go to a folder of the test's own."""
    environment = {**os.environ, "HOME": str(home)}
    command = [str(PROGRAMS / program), *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    return found.stdout


@pytest.mark.parametrize("path", exported(), ids=lambda path: path.stem)
def test_litert_run_gives_the_golden_outputs(path, tmp_path):
    classifier = Classifier(path)
    examples = golden.read(classifier.file)
    classes, answers = len(classifier.labels), set()
    for number in range(4):
        pixels = classifier.preprocessing.pixels(examples.pictures[number])[np.newaxis]
        np.save(tmp_path / "pixels.npy", pixels.astype(classifier.file.contract.input.dtype))
        told = run(
            "litert", "run", path, "--input", tmp_path / "pixels.npy", "--print-tensors", "--sample-size", classes,
            home=tmp_path,
        )  # fmt: skip
        values = re.search(r"\(shape: \[1, \d+\]\):\s*\[(.*?)\]", told, re.DOTALL)
        outputs = np.array(values.group(1).split(), np.float32)
        np.testing.assert_allclose(outputs, examples.outputs[number], atol=2e-3)
        answers.add(int(outputs.argmax()))
    assert len(answers) > 1, "all answers are the same"


@pytest.mark.parametrize("path", exported(), ids=lambda path: path.stem)
def test_litert_benchmark_takes_the_file(path, tmp_path):
    result = tmp_path / "result.json"
    options = ["--num_runs", 5, "--warmup_runs", 2, "--num_threads", 1, "--result_json", result]
    run("litert-benchmark", "--model", path, *options, home=tmp_path)
    latency = json.loads(result.read_text())["latency"]
    assert latency["num_runs"] == 5
    assert latency["median_ms"] > 0
