"""The page: complete, filled from the file, and with the runtime's pixels."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgeproof import models
from edgeproof.deploy import litertjs, pagedata, subject, web
from edgeproof.runtime.contract import TensorFormat
from edgeproof.runtime.errors import ConfigError, DataError
from edgeproof.runtime.interpreter import _byte_table, _dequantised
from edgeproof.runtime.pixels import Preprocessing, Resize

SHIPPED = models.path(models.CLASSIFIER)
PREPROCESS = web.TEMPLATES / "preprocess.js"
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="no node on the PATH")


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory):
    """What npm would install, with nothing in it."""
    folder = tmp_path_factory.mktemp("node_modules")
    for package in litertjs.PACKAGES:
        for name in package.files:
            file = folder / package.name / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"version": litertjs.VERSION}) if name == "package.json" else f"// {name}\n")
    return folder


@pytest.fixture(scope="module")
def site(node_modules, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "page"
    web.write(subject.read(SHIPPED), out, runtime=litertjs.files(node_modules))
    return out


class Named(HTMLParser):
    """Every file that a page names, the text of its import map, and its policy."""

    def __init__(self):
        super().__init__()
        self.files, self.import_map, self.policy, self._inside = [], "", "", False

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.files += [given[key] for key in ("src", "href", "data-picture") if given.get(key)]
        self._inside = given.get("type") == "importmap"
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_data(self, data):
        if self._inside:
            self.import_map += data
            self._inside = False


def named(page):
    found = Named()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def run_node(script, given):
    """Run a script that knows the module as `page` and `given`, and prints JSON."""
    text = (
        f"import * as page from {json.dumps(PREPROCESS.as_uri())};\n"
        "let text = ''; for await (const part of process.stdin) { text += part; }\n"
        "const bytes = (image) => ({ ...image, data: Uint8Array.from(image.data) });\n"
        f"const given = JSON.parse(text);\nconsole.log(JSON.stringify({script}));\n"
    )
    command = ["node", "--input-type=module", "-e", text]
    found = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_the_model_lies_there_unchanged(site):
    assert (site / "model.tflite").read_bytes() == SHIPPED.read_bytes()


def test_every_file_that_is_named_is_there_and_no_other_place_is(site):
    found = named(site / "index.html")
    imports = json.loads(found.import_map)["imports"].values()
    contract = json.loads((site / "contract.json").read_text())
    for name in [*found.files, *imports, *(each["picture"] for each in contract["golden"]["examples"])]:
        assert name == "data:," or (site / name).is_file(), name
    own = [path for path in site.rglob("*") if path.suffix in (".html", ".js", ".css") and "litert" not in path.parts]
    assert len(own) == 6
    assert [
        path.name for path in own if re.search(r"https?://|//[a-z]+\.[a-z]", path.read_text(encoding="utf-8"))
    ] == []


def test_scripts_import_only_what_lies_beside_them(site):
    known = json.loads(named(site / "index.html").import_map)["imports"]
    for script in site.glob("*.js"):
        for name in re.findall(r'^import .* from "(.*)";', script.read_text(encoding="utf-8"), re.MULTILINE):
            assert name in known or (site / name).is_file(), f"{script.name}: {name}"


def test_the_policy_lets_only_this_import_map_and_own_files_in(site):
    found = named(site / "index.html")
    digest = base64.b64encode(hashlib.sha256(found.import_map.encode()).digest()).decode()
    assert f"script-src 'self' 'wasm-unsafe-eval' 'sha256-{digest}';" in found.policy
    assert found.policy.startswith("default-src 'none';")
    assert "unsafe-inline" not in found.policy


def test_scripts_hold_no_constant_of_the_model(site):
    for script in site.glob("*.js"):
        text = re.sub(r"//.*", "", script.read_text(encoding="utf-8"))
        assert not re.search(r"\b(32|96|127\.5|128|224)\b", text), script.name


def test_names_in_the_file_are_text_and_no_markup(tiny_int8_path, node_modules, tmp_path):
    read = subject.read(tiny_int8_path)
    page = pagedata.described(read)
    sly = msgspec.structs.replace(page, name="<script>alert(1)</script>")
    text = web.html(read, sly)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_folder_of_ours_is_replaced_only_when_asked_and_another_never(tiny_int8_path, node_modules, tmp_path):
    read, runtime = subject.read(tiny_int8_path), litertjs.files(node_modules)
    out = tmp_path / "site"
    web.write(read, out, runtime=runtime)
    with pytest.raises(ConfigError, match="Give --overwrite"):
        web.write(read, out, runtime=runtime)
    (out / "stale.txt").write_text("stale")
    web.write(read, out, runtime=runtime, overwrite=True)
    assert not (out / "stale.txt").exists()
    other = tmp_path / "photos"
    other.mkdir()
    (other / "dear.txt").write_text("dear")
    with pytest.raises(ConfigError, match=r"holds no contract\.json"):
        web.write(read, other, runtime=runtime, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "site", "tiny-int8.tflite"]


def test_pictures_of_the_user_take_the_place_of_the_samples(tiny_int8_path, node_modules, tmp_path):
    photo = tmp_path / "My <cat>.PNG"
    Image.new("RGB", (9, 9), "red").save(photo)
    out = tmp_path / "site"
    web.write(subject.read(tiny_int8_path), out, runtime=litertjs.files(node_modules), pictures=[photo])
    assert json.loads((out / "contract.json").read_text())["samples"] == [
        {"file": "pictures/01.png", "title": "My <cat>"}
    ]
    assert (out / "pictures" / "01.png").read_bytes() == photo.read_bytes()
    assert "pictures/01.png" in named(out / "index.html").files


def test_a_picture_that_no_browser_shows_is_refused(tiny_int8_path, node_modules, tmp_path):
    read, runtime = subject.read(tiny_int8_path), litertjs.files(node_modules)
    Image.new("RGB", (9, 9)).save(tmp_path / "a.tiff")
    with pytest.raises(ConfigError, match="is TIFF, which browsers do not show"):
        web.write(read, tmp_path / "site", runtime=runtime, pictures=[tmp_path / "a.tiff"])
    with pytest.raises(DataError, match="cannot be read"):
        web.write(read, tmp_path / "site", runtime=runtime, pictures=[tmp_path / "none.png"])
    assert not (tmp_path / "site").exists()


def test_the_command_tells_what_was_written(edgeproof, tiny_int8_path, node_modules, tmp_path):
    out = tmp_path / "site"
    status, told, _ = edgeproof("web", tiny_int8_path, "--out", out, "--litert-js", node_modules, "--json")
    assert status == 0
    found = json.loads(told)["web"]
    assert found["size_bytes"] == sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    assert found["loaded_bytes"] < found["size_bytes"]
    status, told, _ = edgeproof("web", tiny_int8_path, "--out", out, "--litert-js", node_modules, "--overwrite")
    assert status == 0
    assert told.startswith(f"Written to {out}: ")


def test_the_command_refuses_in_one_line(edgeproof, tiny_int8_path, tmp_path):
    status, told, error = edgeproof("web", tiny_int8_path, "--out", tmp_path / "site", "--litert-js", tmp_path)
    assert (status, told) == (2, "")
    assert error.count("\n") == 1
    assert "--litert-js" in error
    assert not (tmp_path / "site").exists()


def resize_cases():
    """Sizes up and down, tall, wide and one pixel across, with each filter and fit; noise, and edges that clip."""
    draw = np.random.default_rng(0)
    sizes = [(32, 32, 96, 96), (80, 56, 32, 32), (40, 100, 24, 40), (217, 31, 24, 40), (5, 130, 40, 24), (31, 64, 1, 9)]
    # The height shrinks by a little more than twice as many pixels as the width, and by exactly twice as many.
    sizes += [(45, 119, 22, 60), (40, 60, 30, 40)]
    for number, (width, height, *new) in enumerate(sizes):
        for resample in ("nearest", "bilinear", "bicubic", "lanczos"):
            for fit in ("stretch", "crop"):
                pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
                sharp = (pixels > 127).astype(np.uint8) * 255
                yield (
                    sharp if number % 2 or number > 5 else pixels,
                    Resize(width=new[0], height=new[1], resample=resample, fit=fit),
                )


@needs_node
def test_the_page_resizes_to_the_very_pixels_of_the_runtime():
    cases = [(pixels, step, Preprocessing(steps=(step,)).pixels(pixels)) for pixels, step in resize_cases()]
    given = [
        {
            "image": {"width": pixels.shape[1], "height": pixels.shape[0], "data": pixels.ravel().tolist()},
            "chain": {"steps": [json.loads(msgspec.json.encode(step))]},
        }
        for pixels, step, _ in cases
    ]
    found = run_node("given.map(({ image, chain }) => Array.from(page.finished(bytes(image), chain).data))", given)
    wrong = [
        (pixels.shape, step)
        for (pixels, step, expected), data in zip(cases, found, strict=True)
        if data != expected.ravel().tolist()
    ]
    assert len(cases) == 64
    assert wrong == []


@needs_node
def test_a_chain_of_steps_rounds_to_bytes_after_each():
    chain = Preprocessing(steps=(Resize(width=8, height=8), Resize(width=24, height=24, resample="bicubic")))
    pixels = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    image = {"width": 30, "height": 40, "data": pixels.ravel().tolist()}
    given = {"image": image, "chain": json.loads(msgspec.json.encode(chain))}
    found = run_node("Array.from(page.finished(bytes(given.image), given.chain).data)", given)
    assert found == chain.pixels(pixels).ravel().tolist()


@needs_node
def test_bytes_enter_and_leave_the_tensors_as_in_the_runtime():
    cases = [("uint8", 1.0, 0), ("uint8", 2.0, 0), ("uint8", 1.0, 7), ("uint8", None, None), ("float32", None, None)]
    inputs = [
        TensorFormat(name="pixels", shape=(1, 16, 16, 3), dtype=dtype, scale=scale, zero_point=zero_point)
        for dtype, scale, zero_point in cases
    ]
    tables = [_byte_table(each, (0.0, 255.0)) for each in inputs]
    expected = [list(range(256)) if table is None else table.tolist() for table in tables]
    output = TensorFormat(name="out", shape=(1, 256), dtype="uint8", scale=0.0041, zero_point=3)
    given = {
        "bytes": list(range(256)),
        "inputs": [{**json.loads(msgspec.json.encode(each)), "range": [0, 255]} for each in inputs],
        "output": json.loads(msgspec.json.encode(output)),
    }
    entered, left = run_node(
        "[given.inputs.map((input) => Array.from(page.entered({ data: given.bytes }, input))), "
        "Array.from(page.left(given.bytes, given.output))]",
        given,
    )
    assert entered == expected
    assert np.abs(np.array(left, np.float32) - _dequantised(np.arange(256, dtype=np.uint8), output)).max() <= 1e-7
