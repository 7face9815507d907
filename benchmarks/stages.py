"""From a picture file to its best labels, each stage timed alone and all of them together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from edgeproof.benchmarks.blocks import Stages
from edgeproof.runtime import Classifier
from edgeproof.runtime.decoding import open_picture
from edgeproof.runtime.interpreter import Runner

TOP = 5
Result = TypeVar("Result")


def timed(classifier: Classifier, runner: Runner, files: Sequence[bytes]) -> Stages:
    """Time the stages of each picture file, given as bytes; `runner` runs the classifier's graph.

    Whole calls and stages take turns, so that a drift of the machine falls on both. Raises `DataError` for a file that
    is no picture.
    """
    for content in files[:2]:
        classifier.classify(content, top=TOP)
        _apart(classifier, runner, content)
    rows, together = [], []
    for number, content in enumerate(files):
        if number % 2:
            rows.append(_apart(classifier, runner, content))
        together.append(_took(partial(classifier.classify, content, top=TOP))[1])
        if not number % 2:
            rows.append(_apart(classifier, runner, content))
    decode, resize, enter, invoke, top = zip(*rows, strict=True)
    return Stages(
        decode_ns=decode, resize_ns=resize, enter_ns=enter, invoke_ns=invoke, top_ns=top, together_ns=tuple(together)
    )


def _apart(classifier: Classifier, runner: Runner, content: bytes) -> tuple[int, int, int, int, int]:
    chain = classifier.preprocessing
    at_least = None if classifier.exact else chain.reduced_size
    image, decode = _took(lambda: open_picture(content, chain.background, at_least=at_least))
    pixels, resize = _took(lambda: chain.pixels(image, exact=classifier.exact))
    values, enter = _took(lambda: runner.enter(pixels[None]))
    raw, invoke = _took(lambda: runner.raw(values))
    _, top = _took(lambda: classifier.best(runner.leave(raw)[0], top=TOP))
    return decode, resize, enter, invoke, top


def _took(step: Callable[[], Result]) -> tuple[Result, int]:
    started = time.perf_counter_ns()
    found = step()
    return found, time.perf_counter_ns() - started
