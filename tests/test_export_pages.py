"""What the pages of docs/deploy about TFLite Micro, ONNX and OpenVINO show is run, in their order."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PAGES = Path(__file__).parents[1] / "docs" / "deploy"
NAMES = ("microcontroller", "onnx", "openvino")
# A training that a newcomer does in full; here it only has to come to an end.
SHORTER = ["--set", "head.epochs=1", "--set", "finetune.epochs=0"]


def blocks(name, language):
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(name):
    """Those of `edgeproof codegen` are run by tests/test_deploy_pages.py."""
    lines = [line for block in blocks(name, "sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if "codegen" not in line]


def test_there_are_commands_and_snippets_to_run():
    assert [[words[0] for words in commands(name)] for name in NAMES] == [
        ["train", "convert", "micro"],
        ["convert"],
        ["convert"],
    ]
    assert [len(blocks(name, "python")) for name in NAMES] == [0, 1, 1]


@pytest.mark.long
def test_the_pages_can_be_followed_word_for_word(tmp_path):
    for package in ("tensorflow", "tflite_micro", "tf2onnx", "openvino"):
        pytest.importorskip(package, reason="needs the extras train, micro, onnx and openvino")
    Image.effect_mandelbrot((200, 120), (-2, -1, 1, 1), 90).convert("RGB").save(tmp_path / "photo.jpg")
    for name in NAMES:
        for words in commands(name):
            command = [sys.executable, "-m", "edgeproof", *words, *(SHORTER if words[0] == "train" else [])]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, (words, done.stderr)
        for snippet in blocks(name, "python"):
            done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, (name, done.stderr)
            assert re.fullmatch(r"\d 0\.\d+\n", done.stdout)
