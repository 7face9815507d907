"""The commands of docs/deploy that codegen has a part in, run as they stand, and what they make in Python and C++."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgeproof import models
from edgeproof.deploy import codegen, targets
from edgeproof.runtime import golden, modelfile

PAGES = Path(__file__).parents[1] / "docs" / "deploy"
DEVICE = "needs a device"
LITERT = Path(find_spec("ai_edge_litert").submodule_search_locations[0])


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (PAGES / page).read_text(encoding="utf-8"), re.DOTALL)


def commands(page):
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if DEVICE not in line]


def run(script, folder):
    """A newcomer's shell, with edgeproof installed."""
    shutil.copy(models.path(models.CLASSIFIER), folder / "model.tflite")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def first_answer():
    """What the shipped file must say of its first golden picture."""
    examples = golden.read(modelfile.read(models.path(models.CLASSIFIER)))
    return examples.labels[examples.outputs[0].argmax()]


@pytest.mark.slow
def test_the_python_page_works_word_for_word(tmp_path):
    told = run("\n".join(commands("python.md")), tmp_path)
    assert f"golden/00.png\t{first_answer()}" in told
    (snippet,) = blocks("python.md", "python")
    (tmp_path / "client" / "own.py").write_text(snippet)
    assert run("cd client && python own.py", tmp_path).startswith(f"{first_answer()} ")


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("g++")), reason="needs cmake and g++ on the PATH")
@pytest.mark.skipif(not (LITERT / "libLiteRt.so").exists(), reason="ai-edge-litert ships no libLiteRt here")
def test_the_cpp_page_works_word_for_word(tmp_path):
    told = run("\n".join(commands("cpp.md")), tmp_path)
    assert "100% tests passed" in told
    assert f"golden/00.ppm\t{first_answer()}" in told
    # The test can fail, and another model is refused.
    client = tmp_path / "client"
    rows = [line.split() for line in (client / "golden" / "expected.txt").read_text().splitlines()]
    others = [[*row[:3], *other[3:]] for row, other in zip(rows, [rows[-1], *rows[:-1]], strict=True)]
    (client / "golden" / "expected.txt").write_text("\n".join(map(" ".join, others)))
    assert subprocess.run([client / "build" / "golden_test"], capture_output=True).returncode == 1
    (client / "model.tflite").write_bytes((client / "model.tflite").read_bytes() + b"\0")
    again = subprocess.run(["cmake", "build"], cwd=client, capture_output=True)
    assert b"is not the file that this project was made of" in again.stderr


def test_the_projects_of_the_other_pages_are_made_as_they_say(edgeproof, tiny_int8_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(codegen, "find_spec", lambda name: None)  # the arena is another test's
    (tmp_path / "digits" / "export").mkdir(parents=True)
    for place in ("model.tflite", "digits/export/digits-int8.tflite"):
        shutil.copy(tiny_int8_path, place)
    made = set()
    for page in ("android.md", "ios.md", "microcontroller.md"):
        for line in commands(page):
            if line.startswith("edgeproof codegen "):
                status, _, error = edgeproof(*line.split()[1:])
                assert status == 0, f"{page}: {line}: {error}"
                made.add(line.split()[line.split().index("--target") + 1])
                shutil.rmtree(line.split()[-1])
    assert made == set(targets.NAMES) - {"python", "cpp"}


def test_the_index_names_every_page_and_every_target():
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    for page in PAGES.glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index
    for name in targets.NAMES:
        assert f"--target {name}" in index
