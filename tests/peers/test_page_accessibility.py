"""report.html in headless Chromium, at the widths of a desktop and a telephone, light and dark, with axe-core."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeproof.benchmarks.benchmarking import benchmark
from edgeproof.benchmarks.page import SIZE_LIMIT

ROOT = Path(__file__).parents[2]
MODULES = ROOT / os.environ.get("EDGEPROOF_PEERS", ".venv-peers") / "page" / "node_modules"
LOOK = ROOT / "benchmarks" / "peers" / "page" / "look.mjs"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
# The page that `make demo` left, if it did.
DEMO = ROOT / "demo" / "report.html"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not MODULES.is_dir(), reason=f"no axe-core in {MODULES}: run `make peers-page`"),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on the PATH"),
    pytest.mark.skipif(not shutil.which("node"), reason="no node on the PATH"),
]


def look(page):
    command = ["node", str(LOOK), str(page), CHROMIUM, str(MODULES)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert found.returncode == 0, found.stderr[-2000:]
    return json.loads(found.stdout)["looks"]


@pytest.fixture(scope="module", params=["measured", "demo"])
def page(request, tmp_path_factory, tiny_model_bytes, tiny_int8_bytes, tiny_pictures):
    if request.param == "demo":
        if not DEMO.is_file():
            pytest.skip("no demo/report.html: run `make demo`")
        return DEMO
    pytest.importorskip("jinja2", reason="needs the report extra")
    pytest.importorskip("matplotlib", reason="needs the report extra")
    folder = tmp_path_factory.mktemp("page")
    models = [folder / "a-model-with-a-rather-long-name-float32.tflite", folder / "tiny-int8.tflite"]
    for model, content in zip(models, (tiny_model_bytes, tiny_int8_bytes), strict=True):
        model.write_bytes(content)
    benchmark(models, out=folder, pictures=tiny_pictures, data_name="colours", quick=True, profile=True, backends=True)
    return folder / "report.html"


@pytest.fixture(scope="module")
def looks(page):
    return look(page)


def test_axe_finds_nothing_at_all_and_has_judged(looks):
    assert [one["violations"] for one in looks] == [[]] * 4
    assert min(one["rules_passed"] for one in looks) > 20


def test_nothing_hangs_out_of_the_window(looks):
    assert {(one["width_px"], one["width"]) for one in looks} == {(1280, 1280), (390, 390)}
    assert [one["overflowing"] for one in looks] == [[]] * 4


def test_no_picture_is_missing_and_no_request_leaves_the_page(looks):
    assert [one["missing"] for one in looks] == [0] * 4
    assert min(one["pictures"] for one in looks) > 6
    assert [one["requests"] for one in looks] == [[]] * 4


def test_headings_go_down_by_one_and_writing_is_large_enough(looks):
    for one in looks:
        assert one["headings"][0] == 1
        assert all(after <= before + 1 for before, after in zip(one["headings"], one["headings"][1:], strict=False))
        assert one["smallest_px"] >= 13


def test_a_page_stays_below_its_limit(page):
    assert page.stat().st_size <= SIZE_LIMIT


def test_the_referee_sees_a_bad_page(tmp_path):
    page = tmp_path / "bad.html"
    wide = '<p style="width: 2000px; color: #eee">pale and wide</p>'
    page.write_text(f'<html><body>{wide}<img src="https://example.invalid/x.png"></body></html>')
    found = look(page)[0]
    assert {"image-alt", "color-contrast", "html-has-lang"} <= {each["id"] for each in found["violations"]}
    assert found["missing"] == 1
    assert found["overflowing"]
    assert found["requests"] == ["https://example.invalid/x.png"]
