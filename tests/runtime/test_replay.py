"""Replay, with an application of a few lines that makes each of its mistakes on its own code, not on edgeproof's."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

from edgeproof import models
from edgeproof.runtime import Classifier, ModelError, golden, observed, replay

ROOT = Path(__file__).parents[2]
MISTAKES = (
    "bgr",
    "scaled-twice",
    "128-for-127.5",
    "nearest",
    "labels",
    "nchw",
    "alpha",
    "exif",
    "softmax-twice",
    "normalised-twice",
    "one-step",
    "fit",
)


@pytest.fixture(scope="module")
def shipped():
    return Classifier(models.path(models.CLASSIFIER))


class Application:
    """What somebody writes for the shipped file: Pillow, NumPy and LiteRT, with at most one mistake."""

    def __init__(self, file, mistake="", *, threads=1):
        self.mistake, self.labels = mistake, list(file.labels)
        self.interpreter = Interpreter(model_content=file.flatbuffer, num_threads=threads)
        self.interpreter.allocate_tensors()
        self.taken, self.given = self.interpreter.get_input_details()[0], self.interpreter.get_output_details()[0]
        if mistake == "labels":
            self.labels = sorted(self.labels, key=lambda label: label[::-1])

    def decoded(self, picture):
        image = Image.open(io.BytesIO(picture))
        if self.mistake != "exif":
            image = ImageOps.exif_transpose(image)
        if image.mode == "RGBA" and self.mistake != "alpha":
            white = Image.new("RGB", image.size, (255, 255, 255))
            white.paste(image, mask=image.getchannel("A"))
            return white
        return image.convert("RGB")

    def pixels(self, picture):
        image = self.decoded(picture)
        resample = Image.Resampling.NEAREST if self.mistake == "nearest" else Image.Resampling.BILINEAR
        for side in (96,) if self.mistake == "one-step" else (32, 96):
            if image.size != (side, side):
                fitted = ImageOps.fit if self.mistake == "fit" else Image.Image.resize
                image = fitted(image, (side, side), resample)
        return np.asarray(image)

    def tensor(self, picture):
        pixels = self.pixels(picture).astype(np.float64)
        if self.mistake == "bgr":
            pixels = pixels[:, :, ::-1]
        if self.mistake == "nchw":
            pixels = pixels.transpose(2, 0, 1).reshape(96, 96, 3)
        if self.mistake == "scaled-twice":
            pixels = pixels / 255
        if self.mistake == "normalised-twice":
            pixels = pixels / 127.5 - 1
        if self.mistake == "128-for-127.5":
            pixels = ((pixels - 128) / 128 + 1) * 127.5
        if self.taken["dtype"] == np.float32:
            return pixels[np.newaxis].astype(np.float32)
        limits = np.iinfo(self.taken["dtype"])
        zero_point = self.taken["quantization"][1] if self.mistake != "zero-point" else 0
        return np.clip(np.rint(pixels[np.newaxis]) + zero_point, limits.min, limits.max).astype(self.taken["dtype"])

    def probabilities(self, picture):
        self.interpreter.set_tensor(self.taken["index"], self.tensor(picture))
        self.interpreter.invoke()
        found = self.interpreter.get_tensor(self.given["index"])[0].astype(np.float64)
        if self.given["dtype"] != np.float32:
            scale, zero_point = self.given["quantization"]
            found = (found - (zero_point if self.mistake != "zero-point" else 0)) * scale
        if self.mistake == "softmax-twice":
            found = np.exp(found) / np.exp(found).sum()
        return found

    def lines(self, examples, top):
        """What the application writes into a file: a line of JSON for each golden picture."""
        for name, picture in zip(examples.names, examples.pictures, strict=True):
            found = self.probabilities(picture)
            best = [(self.labels[i], float(found[i])) for i in np.argsort(-found)[:top]]
            told = [{"label": label, "probability": probability} for label, probability in best]
            yield json.dumps({"image": f"phone/{name}", "predictions": told})


@pytest.fixture
def judged(tmp_path):
    """Let an application answer a file's golden examples, with its best labels alone, and judge what it wrote."""

    def judge(classifier, mistake="", *, top=100):
        examples = golden.read(classifier.file)
        path = tmp_path / "answers.jsonl"
        path.write_text("\n".join(Application(classifier.file, mistake).lines(examples, top)))
        return replay.judge(classifier, observed.read(path, examples))

    return judge


@pytest.mark.parametrize("top", [5, 100])
def test_an_application_without_a_mistake_is_sound(shipped, judged, top):
    found = judged(shipped, top=top)
    assert found.sound
    assert found.fault is None
    assert found.distance < 1e-4
    assert found.other_answers == ()


@pytest.mark.parametrize("top", [5, 100])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_caught_and_named(shipped, judged, mistake, top):
    found = judged(shipped, mistake, top=top)
    assert not found.sound
    assert found.fault.id == mistake
    assert found.tried[0].distance < found.distance / 3


@pytest.mark.data
@pytest.mark.parametrize("recipe", ["float32", "int8"])
def test_each_mistake_is_named_with_files_of_the_full_size_too(recipe, judged):
    found = sorted((ROOT / "runs" / "cifar100" / "export").glob(f"*-{recipe}.tflite"))
    if not found:
        pytest.skip("no exported files in runs/cifar100: run `make cifar100`")
    classifier = Classifier(found[0])
    named = {mistake: judged(classifier, mistake, top=5).fault for mistake in MISTAKES}
    assert {mistake: fault and fault.id for mistake, fault in named.items()} == {each: each for each in MISTAKES}
    assert judged(classifier, top=5).sound


def test_other_kernels_of_the_same_file_are_sound(shipped):
    from edgeproof.runtime.interpreter import Runner
    from edgeproof.runtime.pipeline import shipped as pipeline

    examples = golden.read(shipped.file)
    right = pipeline(Runner(shipped.file.flatbuffer, kernels="builtin"), shipped.preprocessing)
    found = replay.judge(shipped, replay.Observed(right.outputs(examples.pictures)))
    assert found.distance > replay.FLOOR, "the kernels agree: this proves nothing"
    assert found.sound


def test_answers_that_nothing_explains_are_broken_without_a_name(shipped):
    examples = golden.read(shipped.file)
    noise = np.random.default_rng(0).dirichlet(np.ones(len(shipped.labels)), len(examples)).astype(np.float32)
    found = replay.judge(shipped, replay.Observed(noise))
    assert not found.sound
    assert found.fault is None
    assert len(found.other_answers) >= 12
    distances = [each.distance for each in found.tried]
    assert distances == sorted(distances)


def test_other_pixels_are_told_even_where_the_answers_are_right(shipped):
    examples = golden.read(shipped.file)
    hashes = [example.pixels_sha256 for example in examples.golden.examples]
    right = replay.judge(shipped, replay.Observed(examples.outputs, tuple(hashes)))
    assert (right.sound, right.pixels) == (True, "as expected")
    other = replay.judge(shipped, replay.Observed(examples.outputs, ("0" * 64, *hashes[1:])))
    assert (other.sound, other.pixels) == (False, "others")


def test_the_installed_runtime_gives_the_pixels_and_answers_of_the_export(shipped):
    found = replay.replay(shipped)
    assert found.sound
    assert found.pixels == "as expected"
    assert found.examples == 16
    assert found.tried == ()


def test_a_file_without_golden_examples_is_refused(tiny_model_path):
    with pytest.raises(ModelError, match="holds no golden examples"):
        replay.replay(Classifier(tiny_model_path))


def test_the_distance_is_half_of_what_moves_and_passes_over_what_is_not_told():
    expected = np.array([[0.7, 0.2, 0.1]], np.float32)
    assert replay.distance(np.array([[0.6, 0.3, 0.1]], np.float32), expected) == pytest.approx(0.1)
    assert replay.distance(np.array([[0.6, np.nan, np.nan]], np.float32), expected) == pytest.approx(0.05)
