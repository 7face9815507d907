import numpy as np

from edgeproof.benchmarks import modes


class Recorder:
    """Stands where the classifier stands and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def probabilities(self, pixels):
        self.asked.append(pixels)


PIXELS = np.arange(3 * 12, dtype=np.uint8).reshape(3, 2, 2, 3)


def test_each_call_gets_one_picture_and_the_pictures_go_round():
    recorder = Recorder()
    samples = modes.latencies_ns(recorder, PIXELS, 5)
    assert len(samples) == 5
    assert [asked.shape for asked in recorder.asked] == [(1, 2, 2, 3)] * 5
    assert [int(asked[0, 0, 0, 0]) for asked in recorder.asked] == [0, 12, 24, 0, 12]


def test_warming_up_ends_at_the_limit_at_the_latest():
    assert len(modes.warm_up_ns(Recorder(), PIXELS, 7)) == 7
    assert modes.warm_up_ns(Recorder(), PIXELS, 0) == ()


def test_a_paced_call_begins_each_interval():
    clock, slept = [0.0], []

    def sleep(seconds):
        slept.append(round(seconds, 6))
        clock[0] += seconds

    class Slow(Recorder):
        def probabilities(self, pixels):
            clock[0] += 0.004

    assert len(modes.paced_ns(Slow(), PIXELS, 4, 10.0, sleep=sleep, now=lambda: clock[0])) == 4
    assert slept == [0, 0.006, 0.006, 0.006]


def test_an_answer_slower_than_the_pace_is_followed_at_once_and_delays_no_others():
    clock, slept, costs = [0.0], [], iter([0.025, 0.001, 0.001])

    def sleep(seconds):
        slept.append(round(seconds, 6))
        clock[0] += seconds

    class Slow(Recorder):
        def probabilities(self, pixels):
            clock[0] += next(costs)

    modes.paced_ns(Slow(), PIXELS, 3, 10.0, sleep=sleep, now=lambda: clock[0])
    assert slept == [0, 0, 0.009]


def test_batches_leave_no_picture_out_and_are_counted():
    recorder = Recorder()
    found = modes.offline(recorder, np.zeros((40, 2, 2, 3), np.uint8), (32, 8), 0.0)
    assert [len(asked) for asked in recorder.asked] == [32, 32, 8, 8, 8, 8, 8, 8, 8]
    assert [(each.batch, each.images) for each in found] == [(32, 40), (8, 40)]
    assert all(each.images_per_s > 0 for each in found)
