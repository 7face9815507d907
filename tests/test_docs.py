"""What the documentation shows is run."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgeproof import cli, models

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


def shell_lines(page):
    """The commands of a page, without those that need a device or a network."""
    text = (ROOT / "docs" / "deploy" / page).read_text(encoding="utf-8")
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    return [line for line in lines if "# needs a " not in line]


def test_every_command_of_the_page_about_browsers_runs(desk, monkeypatch, capsys):
    pytest.importorskip("jinja2", reason="needs the deploy extra")
    from edgeproof.deploy import litertjs, serving

    # What npm gives, without a network, and a Ctrl-C as soon as the page is served.
    asked = []
    found = {package: dict.fromkeys(package.files, b"") for package in litertjs.PACKAGES}
    monkeypatch.setattr(litertjs, "files", lambda given: asked.append(given) or found)
    ports, server = [], serving.server
    monkeypatch.setattr(serving, "server", lambda out, *, port: ports.append(port) or server(out))
    monkeypatch.setattr(serving.ThreadingHTTPServer, "serve_forever", interrupted)
    monkeypatch.chdir(desk)
    lines = shell_lines("web.md")
    assert len(lines) == 4
    for line in lines:
        assert cli.run(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert ports == [8000]
    assert re.search(r"^http://127\.0\.0\.1:\d+/ until Ctrl-C$", told, re.MULTILINE)
    assert '"compressed_bytes"' in told
    assert asked == [None, None, None, Path(".")]
    assert json.loads((desk / "site" / "contract.json").read_text())["file"]["name"] == "model.tflite"


def interrupted(server):
    raise KeyboardInterrupt
