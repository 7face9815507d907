import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime import Classifier, ModelError, structure, untrusted
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.untrusted import UntrustedRunner


def noise(count, seed=3):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def instead(monkeypatch, code):
    """Let the child run this instead of loading the model."""
    prelude = "import os, sys, time, struct, signal\ndef say(b): os.write(1, struct.pack('<Q', len(b)) + b)\n"
    prelude += "say(b'ready')\n"
    monkeypatch.setattr(untrusted, "_START", prelude + code)


@pytest.fixture(scope="module")
def runner(tiny_flatbuffer):
    with UntrustedRunner(tiny_flatbuffer) as opened:
        yield opened


@pytest.mark.parametrize("count", [0, 1, 33])
def test_the_child_answers_what_the_same_process_does(runner, tiny_flatbuffer, count):
    pixels = noise(count)
    np.testing.assert_array_equal(runner.probabilities(pixels), Runner(tiny_flatbuffer).probabilities(pixels))
    assert (runner.input, runner.output) == (Runner(tiny_flatbuffer).input, Runner(tiny_flatbuffer).output)


def test_one_child_serves_all_pictures(runner):
    before = runner._child.pid
    for seed in range(5):
        runner.probabilities(noise(2, seed))
    assert runner._child.pid == before


def test_the_answers_can_be_written_to(runner):
    runner.probabilities(noise(1))[:] = 0


@pytest.mark.parametrize("input_range", [(-1.0, 1.0), (0.0, 255.0)])
def test_the_input_range_reaches_the_child(tiny_flatbuffer, input_range):
    wanted = Runner(tiny_flatbuffer, input_range=input_range).probabilities(noise(3))
    with UntrustedRunner(tiny_flatbuffer, input_range=input_range) as runner:
        np.testing.assert_array_equal(runner.probabilities(noise(3)), wanted)


def test_pixels_of_another_shape_are_the_callers_mistake(runner):
    with pytest.raises(ValueError, match=r"Expected uint8 of shape \('n', 8, 8, 3\)"):
        runner.probabilities(np.zeros((1, 9, 8, 3), np.uint8))


def test_a_graph_that_is_damaged_starts_no_child(tiny_flatbuffer, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a child was started"))
    with pytest.raises(ModelError, match="flatbuffer is damaged"):
        UntrustedRunner(tiny_flatbuffer[:300])


def test_what_litert_refuses_in_the_child_is_the_same_error(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", [1, 8, 8, 3])
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    given = graph.tensor("softmax", [1, 8, 8, 3])
    last = graph.operator(schema.BuiltinOperator.SOFTMAX, [first], given, schema.BuiltinOptions.SoftmaxOptions, softmax)
    with pytest.raises(ModelError, match=r"output has shape \(1, 8, 8, 3\)\. Expected \(1, classes\)"):
        UntrustedRunner(graph.packed(first, last))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_a_crash_while_loading_is_a_model_error_that_names_the_signal(tiny_flatbuffer, monkeypatch, name):
    instead(monkeypatch, f"os.kill(os.getpid(), signal.{name})")
    with pytest.raises(ModelError, match=rf"LiteRT crashed \(signal {int(signal.Signals[name])}, {name}\)"):
        UntrustedRunner(tiny_flatbuffer)


def test_a_real_crash_of_litert_is_survived(new_layers, monkeypatch):
    # A depthwise convolution of two inputs, which the check of the structure refuses for this very reason.
    layers = new_layers(8)
    graph = layers.graph(layers.mean(layers.depthwise(layers.pixels, np.ones((1, 3, 3, 3)), np.ones(3))))
    graph.operators[0].inputs = np.array(graph.operators[0].inputs[:2], np.int32)
    with pytest.raises(ModelError, match="has 2 inputs"):
        UntrustedRunner(graph.packed())
    monkeypatch.setattr(structure, "check", lambda content: None)
    unchecked = "from edgeproof.runtime import structure; structure.check = lambda content: None\n"
    monkeypatch.setattr(untrusted, "_START", unchecked + untrusted._START)
    with (
        pytest.raises(ModelError, match=r"not safe to run: LiteRT crashed \(signal 11, SIGSEGV\)\. Do not use"),
        UntrustedRunner(graph.packed()) as runner,
    ):
        runner.probabilities(noise(2))


def test_a_crash_while_running_is_a_model_error_and_so_is_what_is_asked_afterwards(tiny_flatbuffer):
    runner = UntrustedRunner(tiny_flatbuffer)
    os.kill(runner._child.pid, signal.SIGSEGV)
    with pytest.raises(ModelError, match="LiteRT crashed"):
        runner.probabilities(noise(1))
    with pytest.raises(ModelError, match=r"has ended\. Open the file anew"):
        runner.probabilities(noise(1))


def test_a_child_that_hangs_is_ended_in_time(tiny_flatbuffer, monkeypatch):
    instead(monkeypatch, "time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(ModelError, match="took longer with the model than is allowed"):
        UntrustedRunner(tiny_flatbuffer + bytes(10**6), load_seconds=0.3)  # more than a pipe holds
    assert time.monotonic() - start < 2


def test_a_child_that_hangs_over_a_picture_is_ended_in_time(tiny_flatbuffer):
    with UntrustedRunner(tiny_flatbuffer, picture_seconds=0.2) as runner:
        os.kill(runner._child.pid, signal.SIGSTOP)
        with pytest.raises(ModelError, match="took longer"):
            runner.probabilities(noise(1))


@pytest.mark.parametrize(
    "code",
    [
        "say(b'nonsense')",
        "say(b'{}x')",
        "say(b'\\x80\\x04N.')",  # a pickle
        "os.write(1, struct.pack('<Q', 2**60))",
        """say(b'{"input":{"name":"","shape":[1,8,8,3],"dtype":"uint8"},"output":{"name":"","shape":[1,99999999999],"dtype":"uint8"}}')""",
        """say(b'{"input":{"name":"","shape":[],"dtype":"uint8"},"output":{"name":"","shape":[1,4],"dtype":"uint8"}}')""",
    ],
)
def test_what_a_child_says_is_not_believed(tiny_flatbuffer, monkeypatch, code):
    instead(monkeypatch, code + "\ntime.sleep(5)")
    with pytest.raises(ModelError, match="gave no sensible answer"):
        UntrustedRunner(tiny_flatbuffer)


@pytest.mark.parametrize("answer", ["b'f' + bytes(15)", "b'x' + bytes(16)", "b''"])
def test_an_answer_of_another_length_is_not_believed(tiny_flatbuffer, monkeypatch, answer):
    described = (
        '{"input":{"name":"","shape":[1,8,8,3],"dtype":"uint8"},"output":{"name":"","shape":[1,4],"dtype":"uint8"}}'
    )
    instead(monkeypatch, f"say({described!r}.encode())\nsay({answer})\ntime.sleep(5)")
    with UntrustedRunner(tiny_flatbuffer) as runner, pytest.raises(ModelError, match="gave no sensible answer"):
        runner.probabilities(noise(1))


def test_more_memory_than_is_allowed_is_an_error_of_the_child(tiny_flatbuffer):
    with pytest.raises(ModelError):
        UntrustedRunner(tiny_flatbuffer, memory_bytes=10**8)


def test_the_child_limits_itself(runner):
    text = Path(f"/proc/{runner._child.pid}/limits").read_text()
    assert str(untrusted.MEMORY_BYTES) in next(line for line in text.splitlines() if "address space" in line)
    assert next(line for line in text.splitlines() if "cpu time" in line).split()[3] != "unlimited"


def test_no_child_outlives_its_runner(tiny_flatbuffer):
    runner = UntrustedRunner(tiny_flatbuffer)
    child = runner._child
    runner.close()
    runner.close()
    assert child.returncode is not None
    forgotten = UntrustedRunner(tiny_flatbuffer)
    child = forgotten._child
    del forgotten
    assert child.poll() is not None


def test_a_child_ends_when_its_parent_is_killed(tiny_flatbuffer, tmp_path):
    path = tmp_path / "graph"
    path.write_bytes(tiny_flatbuffer)
    script = (
        "import os, pathlib, sys\n"
        "from edgeproof.runtime.untrusted import UntrustedRunner\n"
        "runner = UntrustedRunner(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "print(runner._child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    pid = int(run.stdout)
    for _ in range(100):
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "\nState:\tZ" in status.read_text():
            return
        time.sleep(0.05)
    pytest.fail("the child is still there")


def test_a_classifier_answers_the_same_when_its_file_is_not_trusted(tiny_int8_path):
    pixels = noise(5)
    with Classifier(tiny_int8_path, untrusted=True) as classifier:
        assert classifier.classify(pixels[0]) == Classifier(tiny_int8_path).classify(pixels[0])
        np.testing.assert_array_equal(
            classifier.probabilities(pixels), Classifier(tiny_int8_path).probabilities(pixels)
        )


@pytest.mark.parametrize("input_range", [None, (-1.0, 1.0)])
def test_a_file_of_another_tool_runs_untrusted(make_flatbuffer, tmp_path, input_range):
    path = tmp_path / "foreign.tflite"
    path.write_bytes(make_flatbuffer(quantised=True))
    given = {"labels": ["a", "b", "c", "d"], "input_range": input_range}
    with Classifier(path, untrusted=True, **given) as classifier:
        wanted = Classifier(path, **given).probabilities(noise(3))
        np.testing.assert_array_equal(classifier.probabilities(noise(3)), wanted)


# --- the script that damages thousands of files, on a few ------------------------------------------------------------


@pytest.fixture(scope="module")
def damaging(peer_script):
    return peer_script("damaged_models")


def test_of_damaged_files_with_a_hash_none_is_accepted(damaging, tiny_int8_bytes, tmp_path):
    found = damaging.hashed(150, tiny_int8_bytes, tmp_path, random.Random(1))
    assert (found["files"], found["accepted"]) == (150, 0)
    assert sum(found["verdicts"].values()) == 150


def test_damaged_files_without_a_hash_have_a_verdict_in_time(damaging, make_flatbuffer, tmp_path):
    content, draw = make_flatbuffer(quantised=True), random.Random(2)
    for meaning in (True, False):
        found = damaging.unhashed(25, content, ["a", "b", "c", "d"], tmp_path, draw, meaning=meaning)
        assert sum(found["outcomes"].values()) == 25
        assert found["outcomes"]["refused by the check"] > 5
        assert found["seconds"]["largest"] < damaging.VERDICT_SECONDS
