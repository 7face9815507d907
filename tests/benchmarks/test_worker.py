import subprocess
import sys

import msgspec
import numpy as np
import pytest

from edgeproof.benchmarks import worker
from edgeproof.benchmarks.blocks import Block, Job
from edgeproof.runtime import Classifier, ModelError


class Recorder:
    """Stands where the classifier stands and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def probabilities(self, pixels):
        self.asked.append(pixels)


def ask(content: bytes):
    command = [sys.executable, "-m", "edgeproof.benchmarks.worker"]
    return subprocess.run(command, input=content, capture_output=True)


def test_a_job_on_stdin_gives_a_block_on_stdout_and_nothing_else(job):
    done = ask(msgspec.json.encode(job))
    block = msgspec.json.decode(done.stdout, type=Block)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(block.samples_ns) == job.calls
    assert min(block.samples_ns) > 0
    assert block.import_ms > 0
    assert 0 < block.rss_before_mb < block.rss_loaded_mb <= block.rss_peak_mb + 1


def test_a_model_that_is_none_ends_in_one_line(job, tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a model at all")
    done = ask(msgspec.json.encode(msgspec.structs.replace(job, model=str(broken))))
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.decode().startswith(f"{broken} is no TFLite model")


def test_a_file_without_a_contract_is_measured_with_what_the_user_says(tiny_flatbuffer, job, tmp_path):
    path = tmp_path / "foreign.tflite"
    path.write_bytes(tiny_flatbuffer)
    foreign = msgspec.structs.replace(job, model=str(path))
    with pytest.raises(ModelError, match="no labels"):
        worker.block_of(foreign, 0.0)
    said = msgspec.structs.replace(foreign, labels=("a", "b", "c", "d"), input_range=(0.0, 255.0))
    assert isinstance(said, Job)
    assert len(worker.block_of(said, 0.0).samples_ns) == 20


def test_each_call_gets_one_picture_and_the_pictures_go_round():
    recorder, pixels = Recorder(), np.arange(3 * 12, dtype=np.uint8).reshape(3, 2, 2, 3)
    samples = worker.latencies_ns(recorder, pixels, 5)
    assert len(samples) == 5
    assert [asked.shape for asked in recorder.asked] == [(1, 2, 2, 3)] * 5
    assert [int(asked[0, 0, 0, 0]) for asked in recorder.asked] == [0, 12, 24, 0, 12]


def test_throughput_counts_every_picture_of_every_batch(job):
    classifier = Classifier(job.model)
    assert worker.images_per_s(classifier, np.load(job.pictures), 0.01) > 0


def test_throughput_uses_batches_and_leaves_no_picture_out():
    recorder = Recorder()
    worker.images_per_s(recorder, np.zeros((40, 2, 2, 3), np.uint8), 0.0)
    assert [len(asked) for asked in recorder.asked] == [32, 32, 8]
