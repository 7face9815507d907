import threading
import time
from itertools import count, islice
from queue import Queue

import pytest

from edgeproof.runtime.streaming import AHEAD, ordered


def doubled(items):
    return [2 * item for item in items]


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("chunk", [1, 7, 32])
def test_answers_come_in_the_order_of_the_items(workers, chunk):
    def uneven(items):
        time.sleep(0.002 * (items[0] % 3))
        return doubled(items)

    assert list(ordered(uneven, range(300), workers=workers, chunk=chunk)) == [2 * item for item in range(300)]


def test_of_nothing_comes_nothing():
    assert list(ordered(doubled, [], workers=3, chunk=4)) == []


def test_an_item_of_a_slow_source_does_not_wait_for_the_next():
    source = Queue()
    found = ordered(doubled, iter(source.get, None), workers=2, chunk=32)
    for number in range(5):
        source.put(number)
        assert next(found) == 2 * number  # would hang otherwise
    source.put(None)
    assert list(found) == []


def test_workers_work_side_by_side():
    together = threading.Barrier(3, timeout=20)

    def meet(items):
        together.wait()
        return items

    assert list(ordered(meet, range(3), workers=3, chunk=1)) == [0, 1, 2]


def test_waiting_items_are_worked_on_in_chunks():
    sizes, started = [], threading.Event()

    def noting(items):
        sizes.append(len(items))
        started.wait(20)
        return items

    found = ordered(noting, range(200), workers=1, chunk=16)
    threading.Timer(0.2, started.set).start()
    assert list(found) == list(range(200))
    assert max(sizes) == 16
    assert sizes[0] == 1, "the first item waited for others"


def test_no_more_items_are_taken_ahead_than_there_is_room_for():
    taken = []

    def source():
        for number in count():
            taken.append(number)
            yield number

    found = ordered(doubled, source(), workers=2, chunk=5)
    assert list(islice(found, 10)) == [2 * number for number in range(10)]
    time.sleep(0.1)
    assert len(taken) <= 10 + AHEAD * 2 * 5 + 1
    found.close()


def test_what_the_work_raises_is_raised_in_its_place():
    def failing(items):
        if 5 in items:
            raise KeyError(5)
        return items

    found = ordered(failing, range(50), workers=2, chunk=1)
    assert list(islice(found, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError):
        next(found)


def test_what_the_source_raises_is_raised_behind_the_answers_before_it():
    def source():
        yield 1
        raise OSError("unplugged")

    found = ordered(doubled, source(), workers=2, chunk=1)
    assert next(found) == 2
    with pytest.raises(OSError, match="unplugged"):
        next(found)


def test_a_stream_that_is_left_ends_its_workers():
    before = threading.active_count()
    found = ordered(doubled, count(), workers=4, chunk=2)
    assert next(found) == 0
    found.close()
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.05)
    assert threading.active_count() == before


@pytest.mark.parametrize(("workers", "chunk"), [(0, 1), (1, 0)])
def test_no_workers_and_no_chunk_are_refused(workers, chunk):
    with pytest.raises(ValueError, match="Expected workers and chunk >= 1"):
        next(ordered(doubled, [1], workers=workers, chunk=chunk))
