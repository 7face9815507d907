"""A measured report without a measurement: made-up samples, so that tests of reports take no time."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from edgeproof.benchmarks.blocks import Block, Job, Measurement
from edgeproof.benchmarks.environment import Environment
from edgeproof.benchmarks.quality import Quality
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.runtime.contract import Verification


def made_block(median_ms: float, *, calls: int = 20, peak_mb: float = 60.0) -> Block:
    """Samples at even distances, a tenth below to a tenth above the median."""
    samples = np.linspace(0.9, 1.1, calls) * median_ms * 1e6
    return Block(
        import_ms=150.0,
        load_ms=40.0,
        first_answer_ms=2 * median_ms,
        samples_ns=tuple(int(sample) for sample in samples),
        images_per_s=1000 / median_ms,
        rss_before_mb=40.0,
        rss_loaded_mb=55.0,
        rss_peak_mb=peak_mb,
    )


def made_quality(classes: int, *, right: int, wrong: int) -> Quality:
    """So many right and wrong answers a class; the wrong ones all name the next class."""
    confusion = np.eye(classes, dtype=int) * right + np.roll(np.eye(classes, dtype=int), 1, axis=1) * wrong
    return Quality(
        images=int(confusion.sum()),
        top1_correct=classes * right,
        top5_correct=classes * right,
        ties=0,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def made_file(name: str, median_ms: float, quality: Quality | None, *, classes: int, **more) -> FileReport:
    """A file with two blocks at one and at two threads."""
    measurements = tuple(
        Measurement(threads=threads, blocks=(made_block(median_ms / threads), made_block(median_ms / threads)))
        for threads in (1, 2)
    )
    return FileReport(
        name=name,
        recipe=name.split("-")[-1].removesuffix(".tflite"),
        sha256="0" * 64,
        size_bytes=int(median_ms * 1_000_000),
        input_size=(8, 8),
        labels=tuple(f"class {i}" for i in range(classes)),
        measurements=measurements,
        quality=quality,
        **more,
    )


MACHINE = Environment(
    cpu="Example CPU",
    architecture="x86_64",
    cores=4,
    usable_cores=2,
    memory_mb=8192,
    system="Linux 6",
    python="CPython 3.12",
    packages={"numpy": "2"},
)


@pytest.fixture(scope="session")
def make_report() -> Callable[..., Report]:
    """Make a report of a float32 file (4 ms) and a less accurate int8 file (1 ms), judged or not."""

    def make(*, classes: int = 4, judged: bool = True, **changes) -> Report:
        best, worse = (made_quality(classes, right=r, wrong=10 - r) if judged else None for r in (9, 6))
        files = (
            made_file("tiny-float32.tflite", 4.0, best, classes=classes),
            made_file("tiny-int8.tflite", 1.0, worse, classes=classes),
        )
        parts = {
            "data_name": "colours",
            "synthetic_pictures": not judged,
            "images": classes * 10 if judged else 0,
            "command": "edgeproof benchmark tiny-float32.tflite tiny-int8.tflite",
            "created": "2026-01-02T03:04:05+00:00",
            "environment": MACHINE,
            "files": files,
        }
        return Report(**(parts | changes))

    return make


@pytest.fixture
def pixels_path(tmp_path):
    """Sixty-four pictures at the tiny model's size, in one file."""
    path = tmp_path / "pixels.npy"
    np.save(path, np.random.default_rng(1).integers(0, 256, (64, 8, 8, 3), np.uint8))
    return path


@pytest.fixture
def job(tiny_model_path, pixels_path) -> Job:
    """The shortest job there is, on the tiny model."""
    return Job(model=str(tiny_model_path), pictures=str(pixels_path), threads=1, calls=20, throughput_s=0.0)


@pytest.fixture
def make_block() -> Callable[..., Block]:
    """Make a block of made-up samples around a median in milliseconds."""
    return made_block


@pytest.fixture(scope="session")
def golden_picture() -> bytes:
    """A small picture as a PNG file."""
    packed = io.BytesIO()
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)).save(packed, "PNG")
    return packed.getvalue()


@pytest.fixture(scope="session")
def verified():
    """What a file's contract says of a verification that lost a point."""
    return Verification(
        images=1000,
        images_digest="d",
        reference_top1=0.76,
        reference_top5=0.95,
        top1=0.75,
        top1_interval=(0.72, 0.78),
        top5=0.95,
        drop_points=1.0,
        same_answers=0.97,
        different_answers=30,
        largest_margin_of_a_different_answer=0.1,
        ties=0,
    )
