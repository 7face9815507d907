"""A look at a page: the right types, and only on this machine."""

import threading
import urllib.request
from contextlib import contextmanager

import pytest

from edgeproof.deploy import serving
from edgeproof.runtime.errors import ConfigError


@contextmanager
def running(folder):
    with serving.server(folder) as found:
        thread = threading.Thread(target=found.serve_forever, args=[0.02], daemon=True)
        thread.start()
        yield serving.address(found)
        found.shutdown()
        thread.join()


def test_files_come_with_the_types_that_browsers_insist_on(tmp_path):
    for name in ("index.html", "page.js", "run.wasm", "contract.json", "model.tflite"):
        (tmp_path / name).write_text(name)
    types = {}
    with running(tmp_path) as address:
        for name in ("", "page.js", "run.wasm", "contract.json", "model.tflite"):
            with urllib.request.urlopen(address + name) as response:
                types[name] = response.headers["Content-Type"]
                assert response.read().decode() == (name or "index.html")
                assert response.headers["Cache-Control"] == "no-cache"
    assert types == {
        "": "text/html; charset=utf-8",
        "page.js": "text/javascript",
        "run.wasm": "application/wasm",
        "contract.json": "application/json",
        "model.tflite": "application/octet-stream",
    }


def test_no_other_machine_reaches_the_server(tmp_path):
    with serving.server(tmp_path) as found:
        assert found.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_refused(tmp_path):
    with (
        serving.server(tmp_path) as found,
        pytest.raises(ConfigError, match=f"--port {found.server_port}: cannot be used"),
        serving.server(tmp_path, port=found.server_port),
    ):
        pass
