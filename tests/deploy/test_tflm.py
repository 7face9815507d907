"""The real TFLite Micro interpreter on a small graph."""

import numpy as np
import pytest

from edgeproof.deploy import tflm
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.errors import ConfigError, ModelError
from edgeproof.runtime.interpreter import Runner

pytest.importorskip("tflite_micro", reason="needs the micro extra")


@pytest.fixture(scope="module")
def memory(tiny_flatbuffer):
    return tflm.memory(tiny_flatbuffer)


def test_the_arena_is_enough_and_a_byte_less_is_not(tiny_flatbuffer, memory):
    from tflite_micro.python.tflite_micro import runtime

    with silenced():
        runtime.Interpreter.from_bytes(tiny_flatbuffer, arena_size=memory.arena_bytes)
        with pytest.raises(RuntimeError, match="allocate"):
            runtime.Interpreter.from_bytes(tiny_flatbuffer, arena_size=memory.arena_bytes - 1)


def test_the_parts_of_the_arena_add_up_to_its_size_but_for_alignment(memory):
    assert memory.shared_bytes >= 8 * 8 * 3 * 4
    assert abs(memory.persistent_bytes + memory.shared_bytes - memory.arena_bytes) < 16


def test_more_pictures_than_one_process_takes_are_answered_in_their_order(tiny_flatbuffer):
    pixels = np.random.default_rng(0).integers(0, 256, (2 * tflm.PART + 1, 8, 8, 3), dtype=np.uint8)
    found = tflm.answers(tiny_flatbuffer, pixels.astype(np.float32))
    np.testing.assert_allclose(found, Runner(tiny_flatbuffer).probabilities(pixels), atol=1e-6)


def test_an_operator_that_it_lacks_is_one_clear_line(make_flatbuffer):
    with pytest.raises(ModelError, match=r"operator 4, QUANTIZE, .*not supported\. Fully integer files run") as error:
        tflm.memory(make_flatbuffer(quantised=True))
    assert "\n" not in str(error.value)


def test_a_missing_package_names_the_extra(tiny_flatbuffer, monkeypatch):
    monkeypatch.setattr(tflm, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"edgeproof\[micro\]"):
        tflm.memory(tiny_flatbuffer)
