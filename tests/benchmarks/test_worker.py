import os
import subprocess
import sys

import msgspec
import pytest

from edgeproof.benchmarks import worker
from edgeproof.benchmarks.blocks import Block, Job
from edgeproof.runtime import ModelError


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


def test_loading_is_told_in_its_parts_and_the_warm_up_apart(job):
    block = msgspec.json.decode(ask(msgspec.json.encode(job)).stdout, type=Block)
    assert block.interpreter_ms > 0
    assert block.allocate_ms > 0
    assert block.read_ms > 0
    assert 10 <= len(block.warm_up_ns) <= job.warmup
    assert [each.batch for each in block.offline] == [32]
    assert block.images_per_s == block.offline[0].images_per_s
    assert (block.paced_ns, block.stages) == ((), None)


def test_a_pace_and_picture_files_are_timed_where_they_are_asked_for(job, golden_picture, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(golden_picture)
    asked = msgspec.structs.replace(job, paced_ms=1.0, files=(str(path),) * 3, batches=(1, 8))
    block = worker.block_of(asked, 0.0)
    assert len(block.paced_ns) == job.calls
    assert len(block.stages.together_ns) == 3
    assert [each.batch for each in block.offline] == [1, 8]
    assert block.images_per_s == 0.0


def test_a_process_is_bound_to_the_cores_of_its_job(job):
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system does not bind processes")
    core = max(os.sched_getaffinity(0))
    asked = msgspec.structs.replace(job, affinity=(core,))
    assert msgspec.json.decode(ask(msgspec.json.encode(asked)).stdout, type=Block).affinity == (core,)
