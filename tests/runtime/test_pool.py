import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.pool import Pool, usable_cores


class Slow:
    """Answers with the mean of the pixels, and notices when two threads are in it at once."""

    def __init__(self):
        self.busy = threading.Lock()

    def probabilities(self, pixels):
        assert self.busy.acquire(blocking=False), "two threads at once"
        time.sleep(0.005)
        self.busy.release()
        return pixels.mean(axis=(1, 2, 3), keepdims=True).reshape(-1, 1)


def test_calls_that_overlap_get_one_each_up_to_the_limit():
    pool = Pool(Slow(), Slow, limit=3)
    pixels = [np.full((2, 4, 4, 3), number, np.uint8) for number in range(60)]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(pool.probabilities, pixels))
    assert [int(answer[0, 0]) for answer in answers] == list(range(60))
    assert 2 <= len(pool.all) <= 3


def test_calls_one_after_the_other_load_the_model_once():
    pool = Pool(Slow(), lambda: pytest.fail("loaded again"), limit=4)
    for _ in range(5):
        pool.probabilities(np.zeros((1, 4, 4, 3), np.uint8))
    assert len(pool.all) == 1


def test_one_that_fails_is_given_back():
    pool = Pool(Slow(), lambda: pytest.fail("loaded again"), limit=1)
    for _ in range(3):
        with pytest.raises(AttributeError):
            pool.probabilities(None)
    assert pool.probabilities(np.ones((1, 4, 4, 3), np.uint8)).tolist() == [[1.0]]


def test_threads_get_the_serial_answers_bit_for_bit(tiny_flatbuffer, tiny_pictures):
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    serial = np.concatenate([Runner(tiny_flatbuffer).probabilities(one[np.newaxis]) for one in pixels])
    pool = Pool(Runner(tiny_flatbuffer), lambda: Runner(tiny_flatbuffer), limit=8)
    order = np.random.default_rng(0).integers(0, len(pixels), 2000)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: pool.probabilities(pixels[i][np.newaxis])[0], order))
    np.testing.assert_array_equal(np.stack(found), serial[order])


def test_no_room_is_refused():
    with pytest.raises(ValueError, match="Expected limit >= 1"):
        Pool(Slow(), Slow, limit=0)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_usable_cores_follow_the_affinity():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
