"""The page of `edgeproof web` in headless Chromium, beside the Python runtime: pixels, answers, requests, access."""

import base64
import io
import json
import os
import shutil
import subprocess
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgeproof import models
from edgeproof.runtime import contract, modelfile
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.pixels import Preprocessing, Resize

pytest.importorskip("jinja2", reason="needs the deploy extra")
from edgeproof.deploy import litertjs, serving, subject, web

ROOT = Path(__file__).parents[2]
MODULES = ROOT / os.environ.get("EDGEPROOF_PEERS", ".venv-peers") / "page" / "node_modules"
DRIVER = ROOT / "benchmarks" / "peers" / "page" / "web.mjs"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
DATA = Path(os.environ.get("EDGEPROOF_DATA") or "/nowhere") / "data" / "cifar100-test.zip"
RUN = ROOT / (os.environ.get("EDGEPROOF_PEER_RUN") or "runs/cifar100")
SHIPPED = models.path(models.CLASSIFIER)
FILES = {
    "shipped int8": SHIPPED,
    "float32": RUN / "export" / "cifar100-mobilenetv2-100-96-float32.tflite",
    "int8": RUN / "export" / "cifar100-mobilenetv2-100-96-int8.tflite",
    # By `make recipes` and `make repairs`, of another Keras model and without golden examples.
    "float16": ROOT / "runs" / "stock" / "recipes" / "stock-recipe-float16.tflite",
    "dynamic": ROOT / "runs" / "stock" / "recipes" / "stock-recipe-dynamic.tflite",
    "int8 with uint8 outputs": ROOT / "runs" / "stock" / "bytes" / "stock-recipe-int8.tflite",
}
PICTURES = 200
# An answer may be another one where the two best are so near.
MARGIN = 0.01
# Kernels that quantise activations as they run differ by more between processors.
WIDER = {"dynamic": 0.05}

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not (MODULES / "@litertjs").is_dir(), reason=f"no LiteRT.js in {MODULES}: run `make peers-web`"),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on the PATH"),
    pytest.mark.skipif(not shutil.which("node"), reason="no node on the PATH"),
]


@contextmanager
def served(path, folder):
    """The address of the page of a file."""
    out = folder / "site"
    web.write(subject.read(path), out, runtime=litertjs.files(MODULES), overwrite=True)
    with serving.server(out) as found:
        thread = threading.Thread(target=found.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield serving.address(found)
        found.shutdown()
        thread.join()


def driven(address, *task):
    command = ["node", str(DRIVER), address, CHROMIUM, str(MODULES), *map(str, task)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert found.returncode == 0, found.stderr[-2000:]
    return json.loads(found.stdout)


def replayed(path, pictures, folder):
    """What the page found out about itself, its pixels and its outputs for some pictures."""
    given = folder / "pictures.json"
    given.write_text(json.dumps([base64.b64encode(picture).decode() for picture in pictures]))
    read = subject.read(path)
    with served(path, folder) as address:
        found = driven(address, "replay" if read.contract.golden else "answers", given)
    height, width = read.contract.preprocessing.input_size
    pixels = [np.frombuffer(base64.b64decode(each["pixels"]), np.uint8) for each in found["answers"]]
    outputs = np.array([each["probabilities"] for each in found["answers"]], np.float32)
    return found, np.array(pixels).reshape(-1, height, width, 3), outputs


def test_pictures():
    """Two of each class, from places all over its list."""
    if not DATA.is_file():
        pytest.skip("EDGEPROOF_DATA names no folder with data/cifar100-test.zip")
    with zipfile.ZipFile(DATA) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        return [archive.read(name) for name in names[25 :: len(names) // PICTURES]][:PICTURES]


test_pictures.__test__ = False


def told(selftest):
    """A self-test's outcome in some words."""
    same_pixels = sum(each["same_pixels"] for each in selftest["examples"])
    share = f"golden {selftest['right']} of {selftest['total']}"
    return f"{share} ({same_pixels} with the same pixels, distance {selftest['distance']:.1e})"


@pytest.mark.parametrize("kind", FILES)
def test_the_page_answers_as_the_runtime_does(kind, tmp_path, capsys):
    path = FILES[kind]
    if not path.is_file():
        pytest.skip(f"no {path}: run `make cifar100`, `make recipes`, `make repairs`")
    pictures = test_pictures()
    found, pixels, outputs = replayed(path, pictures, tmp_path)
    classifier = Classifier(path)
    ours = np.stack([classifier.preprocessing.pixels(picture) for picture in pictures])
    expected = classifier.probabilities(ours)
    apart = int(np.abs(pixels.astype(int) - ours).max())
    other = np.flatnonzero(outputs.argmax(axis=1) != expected.argmax(axis=1))
    best = np.sort(expected, axis=1)
    margins = (best[:, -1] - best[:, -2])[other]
    golden = told(found["selftest"]) if "selftest" in found else "no golden examples"
    with capsys.disabled():
        print(
            f"\n{kind}, Chromium {found['browser']}: {golden}; {len(pictures)} test pictures: pixels at most {apart}"
            f" apart, other first labels {len(other)} (margins {margins.round(4)}),"
            f" outputs at most {np.abs(outputs - expected).max():.1e} apart"
        )
    if "selftest" in found:
        total = found["selftest"]["total"]
        assert found["checked"] == f"Answers as it should: {total} of {total}."
    assert len(pictures) == PICTURES
    assert apart <= 1
    assert len(other) <= 0.005 * PICTURES
    assert (margins < WIDER.get(kind, MARGIN)).all()
    assert (found["refused"], found["errors"]) == ([], [])
    origin = "/".join(found["requests"][0].split("/")[:3]) + "/"
    assert [url for url in found["requests"] if not url.startswith(origin)] == []
    assert any(url.endswith(".wasm") for url in found["requests"])


def encoded(image, form, **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def smooth(width, height, channels):
    """Random colours that run into one another, as in photos."""
    coarse = np.random.default_rng(width + channels).integers(0, 256, (6, 8, channels), dtype=np.uint8)
    bands = [
        Image.fromarray(coarse[..., each]).resize((width, height), Image.Resampling.BICUBIC) for each in range(channels)
    ]
    return np.squeeze(np.stack([np.asarray(band) for band in bands], axis=-1))


def kinds_of_pictures():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    colour, photo = Image.fromarray(smooth(130, 70, 3)), Image.fromarray(smooth(3000, 4000, 3))
    turned = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        turned[f"orientation {orientation}"] = encoded(colour, "JPEG", quality=90, exif=exif)
    return {
        **turned,
        "transparent noise": encoded(Image.fromarray(noise), "PNG"),
        "transparent": encoded(Image.fromarray(smooth(300, 200, 4)), "PNG"),
        "grey with alpha": encoded(Image.fromarray(smooth(64, 48, 2), "LA"), "PNG"),
        "palette": encoded(colour.quantize(16), "PNG", transparency=3),
        "16 bits": encoded(Image.fromarray(smooth(64, 48, 1).astype(np.uint16) * 257), "PNG"),
        "progressive": encoded(colour, "JPEG", quality=80, progressive=True),
        "grey": encoded(colour.convert("L"), "JPEG", quality=80),
        "CMYK": encoded(colour.convert("CMYK"), "JPEG", quality=80),
        "GIF": encoded(colour.quantize(64), "GIF"),
        "WebP": encoded(colour, "WEBP", quality=80),
        "BMP": encoded(colour, "BMP"),
        "12 megapixels": encoded(photo, "JPEG", quality=90),
    }


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_pictures_of_all_kinds_become_the_pixels_of_the_runtime(tmp_path, capsys):
    pictures = kinds_of_pictures()
    _, pixels, _ = replayed(SHIPPED, list(pictures.values()), tmp_path)
    preprocessing = subject.read(SHIPPED).contract.preprocessing
    apart = {
        kind: int(np.abs(found.astype(int) - preprocessing.pixels(picture)).max())
        for (kind, picture), found in zip(pictures.items(), pixels, strict=True)
    }
    with capsys.disabled():
        print(f"\n{len(apart)} kinds of pictures; pixels apart in {sum(map(bool, apart.values()))} of them")
    assert {kind for kind in apart if apart[kind] > 1} == set()


def test_another_contract_is_obeyed_and_bytes_are_dequantised(tiny_int8_bytes, tmp_path):
    """Lanczos, cropping, one step, and outputs that are bytes: nothing is as in the shipped file."""
    path = tmp_path / "other.tflite"
    path.write_bytes(tiny_int8_bytes)
    file = modelfile.read(path)
    chain = Preprocessing(
        steps=(
            Resize(width=11, height=20, resample="lanczos", fit="crop"),
            Resize(width=8, height=8, resample="nearest"),
        ),
        background=(10, 200, 30),
    )
    described = msgspec.structs.replace(file.contract, preprocessing=chain)
    attachments = {**file.attachments, contract.CONTRACT_NAME: contract.encode(described)}
    path.write_bytes(modelfile.pack(file.flatbuffer, attachments))
    noise = np.random.default_rng(1).integers(0, 256, (50, 20, 4), dtype=np.uint8)
    pictures = [encoded(Image.fromarray(noise), "PNG"), encoded(Image.fromarray(smooth(300, 200, 4)), "PNG")]
    given = tmp_path / "pictures.json"
    given.write_text(json.dumps([base64.b64encode(picture).decode() for picture in pictures]))
    with served(path, tmp_path) as address:
        found = driven(address, "answers", given)
    classifier = Classifier(path)
    for picture, each in zip(pictures, found["answers"], strict=True):
        pixels = np.frombuffer(base64.b64decode(each["pixels"]), np.uint8).reshape(8, 8, 3)
        expected = chain.pixels(picture)
        assert np.abs(pixels.astype(int) - expected).max() <= 1
        assert (
            np.abs(np.array(each["probabilities"]) - classifier.probabilities(pixels[np.newaxis])[0]).max() <= 2 / 256
        )


@pytest.fixture(scope="module")
def looks(tmp_path_factory):
    with served(SHIPPED, tmp_path_factory.mktemp("looks")) as address:
        return driven(address, "look")


def test_axe_finds_nothing_and_has_judged(looks):
    assert [one["violations"] for one in looks["looks"]] == [[]] * 4
    assert min(one["rules_passed"] for one in looks["looks"]) > 20


def test_nothing_hangs_out_of_the_window_and_fingers_hit_what_they_aim_at(looks):
    assert [one["hanging"] for one in looks["looks"]] == [[]] * 4
    assert min(one["smallest_target_px"] for one in looks["looks"]) >= 44


def test_the_page_is_used_by_keys_alone(looks):
    stops = looks["keyboard"]["stops"]
    texts = [each["text"] for each in stops]
    wanted = ["Choose a picture", "Start the camera", "Sample 1", "Run the self-test", "Its figures", "The model file"]
    assert [text for text in texts if text in wanted] == wanted
    assert [each["text"] for each in stops if each["outline_px"] < 2] == []
    assert " %" in looks["keyboard"]["told"]
    assert looks["keyboard"]["checked"].startswith("Answers as it should")


def test_the_camera_is_answered_and_let_go(looks):
    assert " %" in looks["camera"]["told"]
    assert looks["camera"]["stopped"]
    assert (looks["camera"]["refused"], looks["camera"]["errors"]) == ([], [])


def test_files_are_answered_and_what_is_wrong_is_told(looks):
    assert " %" in looks["files"]["told"]
    assert looks["files"]["error"] == "notes.txt is no picture that this browser can read."
    assert "it was changed or damaged" in looks["files"]["refused"]
