"""What the documentation shows is run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgeproof import models

ROOT = Path(__file__).parents[1]
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "runtime.md").read_text(encoding="utf-8"), re.DOTALL)
# Cameras that are not here: three frames, as the two libraries give them.
CV2 = """
import numpy as np
COLOR_BGR2RGB = 4
def cvtColor(frame, code):
    assert code == COLOR_BGR2RGB
    return np.ascontiguousarray(frame[..., ::-1])
class VideoCapture:
    def __init__(self, number): self.left = 3
    def isOpened(self): return True
    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((48, 64, 3), 60 * max(0, self.left), np.uint8)
    def release(self): pass
"""
PICAMERA2 = """
import numpy as np
class Picamera2:
    def create_video_configuration(self, main): return main
    def configure(self, configuration): self.width, self.height = configuration["size"]
    def start(self): pass
    def capture_array(self): return np.zeros((self.height, self.width, 3), np.uint8)
    def stop(self): pass
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with what the snippets name."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copy(models.path(models.CLASSIFIER), folder / "model.tflite")
    (folder / "broken.tflite").write_bytes(b"broken")
    (folder / "notes.txt").write_text("notes")
    (folder / "cv2.py").write_text(CV2)
    (folder / "picamera2.py").write_text(PICAMERA2)
    (folder / "photos").mkdir()
    for number, name in enumerate(("photo.jpg", "other.jpg", "photos/1.jpg", "photos/2.jpg")):
        Image.effect_mandelbrot((200, 120), (-2 + number / 3, -1, 1, 1), 90).convert("RGB").save(folder / name)
    (folder / "photos" / "3.jpg").write_bytes(b"no picture")
    return folder


def test_there_are_snippets_to_run():
    assert len(SNIPPETS) >= 8


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_the_runtimes_page_runs_as_it_stands(number, desk):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SNIPPETS[number]], cwd=desk, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout or "print" not in SNIPPETS[number]
