"""MediaPipe's ImageClassifier, in an environment of its own (`make peers`), on exported files as they are."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgeproof.runtime import Classifier, testset
from edgeproof.runtime.pixels import Preprocessing

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / os.environ.get("EDGEPROOF_PEERS", ".venv-peers") / "mediapipe" / "bin" / "python"
# A run folder with export/*.tflite and test.npz; without one, the tests train a small network.
RUN = os.environ.get("EDGEPROOF_PEER_RUN", "")
IMAGES = 1000 if RUN else 200

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not PYTHON.is_file(), reason=f"no MediaPipe in {PYTHON.parents[1]}: run `make peers`"),
]

# Answers with the label, the index and the score of the first category of each picture.
CLASSIFY = """
import json, sys
import numpy as np
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions
options = ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=1)
with ImageClassifier.create_from_options(options) as classifier:
    found = []
    for pixels in np.load(sys.argv[2]):
        image = Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        best = classifier.classify(image).classifications[0].categories[0]
        found.append((best.category_name, best.index, best.score))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def exports(request):
    """The folder of the exported files."""
    return (ROOT / RUN / "export") if RUN else request.getfixturevalue("colour_exports")


@pytest.fixture(scope="module")
def pixels(request):
    """Test pictures, already at the model's input size: no resizing of MediaPipe's gets in between."""
    folder = (ROOT / RUN) if RUN else request.getfixturevalue("colour_run").folder
    pictures = testset.read(folder / testset.NAME)
    chosen = np.random.default_rng(0).permutation(len(pictures))[:IMAGES]
    found = pictures.preprocessing.finished(pictures.take(chosen).stored)
    if RUN:
        assert len(found) == IMAGES
        return found
    # The small network's test set is small: the rest are mixtures of its pictures.
    order = np.random.default_rng(1).integers(0, len(found), (IMAGES - len(found), 2))
    return np.concatenate([found, *((found[[a]] // 2 + found[[b]] // 2) for a, b in order)])


@pytest.fixture(params=["float32", "int8"])
def exported(request, exports):
    """One exported file, by recipe."""
    assert list(exports.glob("*.tflite")), f"no exported files in {exports}"
    found = sorted(exports.glob(f"*-{request.param}.tflite"))
    if not found:
        pytest.skip(f"no {request.param} file in {exports}")
    return found[0]


def test_mediapipe_gives_the_runtimes_answer(exported, pixels, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    command = [str(PYTHON), "-c", CLASSIFY, str(exported), str(tmp_path / "pixels.npy")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    theirs = json.loads(run.stdout.splitlines()[-1])
    classifier = Classifier(exported)
    ours = classifier.probabilities(pixels)
    same = sum(index == row.argmax() for (_, index, _), row in zip(theirs, ours, strict=True))
    assert len(theirs) == IMAGES
    assert same >= 0.999 * IMAGES
    assert len({index for _, index, _ in theirs}) >= min(4, len(classifier.labels)), "all answers are the same"
    for name, index, score in theirs:
        assert name == classifier.labels[index]
        assert 0 <= score <= 1
    scores = np.array([score for _, _, score in theirs])
    np.testing.assert_allclose(scores, ours.max(axis=1), atol=0.02)


def test_unzip_lists_the_labels(exported):
    with zipfile.ZipFile(exported) as archive:
        assert archive.testzip() is None
        assert {"labels.txt", "edgeproof.json"} <= set(archive.namelist())
        assert tuple(archive.read("labels.txt").decode().splitlines()) == Classifier(exported).labels


def test_the_pictures_have_the_models_size(exported, pixels):
    preprocessing: Preprocessing = Classifier(exported).preprocessing
    assert pixels.shape[1:3] == preprocessing.input_size
    assert pixels.dtype == np.uint8
