import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime.contract import sha256
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train import plots
from edgeproof.train.history import Epoch

HISTORY = [
    Epoch(number, "head" if number < 4 else "finetune", 2 / number, number / 10, "test", 2.5 / number, number / 12)
    for number in range(1, 7)
]


def drawn(path):
    """The picture as pixels, when it is a PNG of a size that a person can look at."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert 300 <= picture.width <= 2000
        assert 200 <= picture.height <= 2000
        return np.asarray(picture.convert("RGB"))


def has(pixels, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(pixels.astype(int) - wanted).max(axis=2) < 12).any())


@pytest.mark.parametrize(
    "history",
    [HISTORY, HISTORY[:1], HISTORY[:3], HISTORY[3:], []],
    ids=["both phases", "one epoch", "head alone", "fine-tuning alone", "none"],
)
def test_learning_curves_are_drawn_for_any_history(history, tmp_path):
    plots.learning_curves(history, tmp_path / "curves.png")
    pixels = drawn(tmp_path / "curves.png")
    if history:
        assert has(pixels, plots.BLUE)
        assert has(pixels, plots.ORANGE)


@pytest.mark.parametrize("count", [2, 15, 16, 40, 41, 100])
def test_the_confusion_matrix_is_drawn_for_few_and_for_many_classes(count, tmp_path):
    matrix = np.random.default_rng(0).integers(0, 5, (count, count)) + 50 * np.eye(count, dtype=int)
    plots.confusion_matrix(matrix, [f"class {n}" for n in range(count)], tmp_path / "matrix.png")
    pixels = drawn(tmp_path / "matrix.png")
    assert pixels.shape[0] / count > 10, "a cell is too small to be seen"


def test_a_class_without_pictures_leaves_an_empty_row(tmp_path):
    plots.confusion_matrix(np.array([[0, 0], [1, 3]]), ["a", "b"], tmp_path / "matrix.png")
    drawn(tmp_path / "matrix.png")


def pictures(tiny_pictures, count):
    return tiny_pictures.take(np.arange(count) % len(tiny_pictures))


@pytest.mark.parametrize("count", [1, 6, 7, 24, 30])
def test_samples_are_drawn_for_any_number_of_pictures(count, tiny_pictures, tmp_path):
    chosen = pictures(tiny_pictures, count)
    outputs = np.full((count, 4), 0.25, np.float32)
    plots.samples(chosen, outputs, tmp_path / "samples.png", title="Some")
    drawn(tmp_path / "samples.png")


def test_right_and_wrong_answers_are_told_apart_by_colour(tiny_pictures, tmp_path):
    chosen = pictures(tiny_pictures, 6)
    right = np.eye(4, dtype=np.float32)[chosen.classes]
    for outputs, colours in ((right, (True, False)), (np.roll(right, 1, axis=1), (False, True))):
        plots.samples(chosen, outputs, tmp_path / "samples.png", title="Some")
        pixels = drawn(tmp_path / "samples.png")
        assert (has(pixels, plots.GREEN), has(pixels, plots.ORANGE)) == colours


def test_names_with_signs_that_mean_something_to_matplotlib_are_drawn_as_they_are(tiny_pictures, tmp_path):
    stored = np.zeros((2, 8, 8, 3), np.uint8)
    odd = LabelledPictures(
        labels=("$x^2", "größe_$"),
        names=("a", "b"),
        classes=np.array([0, 1]),
        stored=stored,
        hashes=tuple(sha256(picture.tobytes()) for picture in stored),
        preprocessing=tiny_pictures.preprocessing,
    )
    plots.samples(odd, np.array([[0.4, 0.6], [0.4, 0.6]], np.float32), tmp_path / "samples.png", title="Class '$x^$'")
    plots.confusion_matrix(np.eye(2, dtype=int), odd.labels, tmp_path / "matrix.png")
    drawn(tmp_path / "samples.png")
    drawn(tmp_path / "matrix.png")
