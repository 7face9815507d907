"""The demo: the whole way on the embedded digits, and one page that shows it."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from PIL import Image

from edgeproof import models
from edgeproof.benchmarks import benchmarking
from edgeproof.benchmarks.sections import Figure, Section, Table
from edgeproof.convert import conversion, inputs, recipes, verification
from edgeproof.convert.verification import Summary
from edgeproof.runtime import Classifier, golden, replay
from edgeproof.runtime.decoding import open_rgb
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.train import config, training
from edgeproof.train.run import Run
from edgeproof.train.split import balanced_sample

logger = logging.getLogger(__name__)

# Digits must not be mirrored, and few pictures move batch norm too far; the rest is the published recipe.
SETTINGS = (
    "recipe=plain",
    "network.alpha=0.35",
    "network.weights=bundled",
    "finetune.batch=32",
    "finetune.learning_rate=5e-4",
    "finetune.schedule=cosine",
    "finetune.batch_norm=frozen",
    "augmentation.flip=false",
)
MAX_DROP = 5.0
# The side of a golden picture on the page.
TILE = 72


def run(out: Path, *, overwrite: bool) -> Path:
    """Train, convert, verify, classify, benchmark; returns the path of the page that reports all of it.

    Raises `VerificationError` when an exported file drops more than 5 points.
    """
    trained = training.train(config.load(None, SETTINGS), out / "run", overwrite=overwrite)
    given = inputs.from_run(trained.folder)
    sample = inputs.calibrate(given, record=trained.folder / "calibration.csv")
    summary = conversion.convert(
        given.reference,
        recipes.named(recipes.DEFAULT),
        sample,
        given.evidence,
        out=out / "export",
        max_drop=MAX_DROP,
        about=conversion.About(name="digits-mobilenetv2-035-96"),
    )
    verification.gate(summary)
    files = [out / "export" / result.file for result in summary.results]
    benchmarking.benchmark(
        files,
        out=out,
        pictures=given.evidence.test,
        data_name="digits (scikit-learn), test part",
        quick=True,
        command=f"edgeproof benchmark {' '.join(map(str, files))} --data {trained.folder} --quick",
        extra=(
            _training(trained),
            _verification(summary),
            _golden(Classifier(files[-1])),
            _digits(Classifier(files[-1]), given.evidence.test),
            _photos(Classifier(models.path(models.CLASSIFIER))),
        ),
    )
    return out / "report.html"


def _training(trained: Run) -> Section:
    captions = {
        "learning_curves": "Loss and top-1 by epoch: the head alone first, then fine-tuning",
        "confusion_matrix": "Keras' answers on the test pictures, by true class",
        "samples": "Test pictures with Keras' answers; wrong ones in orange with a cross",
    }
    text = "MobileNetV2 (alpha 0.35, 96 px) from the bundled backbone, in two phases on scikit-learn's digits."
    figures = [Figure(words, (trained.plots / f"{name}.png").read_bytes()) for name, words in captions.items()]
    return Section("Training", [text], figures)


def _verification(summary: Summary) -> Section:
    rows = tuple(
        (
            result.file,
            f"{result.verification.reference_top1:.2%}",
            f"{result.verification.top1:.2%}",
            f"{result.verification.drop_points:+.2f}",
            f"{result.verification.same_answers:.2%}",
            str(result.verification.ties),
        )
        for result in summary.results
    )
    header = ("File", "Keras top-1", "File top-1", "Drop, points", "Same answers", "Ties")
    caption = "Each exported file against Keras, on the same pixels, through the runtime that ships."
    return Section("Verification", table=Table(caption, header, rows))


def _golden(classifier: Classifier) -> Section:
    """The pictures that travel in the file, run again."""
    examples, found = golden.read(classifier.file), replay.replay(classifier)
    sheet = Image.new("RGB", (8 * (TILE + 4), 2 * (TILE + 4)), "white")
    for number, picture in enumerate(examples.pictures):
        tile = open_rgb(picture).resize((TILE, TILE), Image.Resampling.NEAREST)
        sheet.paste(tile, (2 + number % 8 * (TILE + 4), 2 + number // 8 * (TILE + 4)))
    labels = ", ".join(example.label for example in examples.golden.examples)
    verdict = "as exported" if found.sound else "not as exported"
    text = (
        f"Sixteen pictures travel in {classifier.file.path.name} with the answers they must get, on every machine: "
        f"some turned by EXIF, some transparent, some of another size. Run again here, they were answered {verdict} "
        f"(pixels {found.pixels}, probabilities apart by {found.distance:.4f})."
    )
    return Section("Golden examples", [text], [Figure(f"Expected, row by row: {labels}", _png(sheet))])


def _digits(classifier: Classifier, test: LabelledPictures) -> Section:
    rows = []
    for index in balanced_sample(test.classes, 6, seed=1):
        best = classifier.classify(test.stored[index], top=1)[0]
        rows.append((test.names[index], test.labels[test.classes[index]], best.label, f"{best.probability:.1%}"))
    header = ("Picture", "True class", "Answer", "Probability")
    table = Table("Labelled by the int8 file, without TensorFlow.", header, tuple(rows))
    return Section("A few test digits", table=table)


def _photos(classifier: Classifier) -> Section:
    """scikit-learn's two photos, labelled by the shipped CIFAR-100 model."""
    from sklearn.datasets import load_sample_images

    figures = []
    for name, array in zip(("china.jpg", "flower.jpg"), load_sample_images().images, strict=True):
        photo = Image.fromarray(array)
        words = ", ".join(f"{one.label} {one.probability:.0%}" for one in classifier.classify(photo, top=3))
        logger.info("%s: %s", name, words)
        photo.thumbnail((360, 360))
        figures.append(Figure(f"{name}: {words}", _png(photo)))
    text = "Two photos that come with scikit-learn, labelled by the shipped model, which knows CIFAR-100's 100 classes."
    return Section("Real photos", [text], figures)


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()
