"""How long each operator takes, run alone: `python -m edgeproof.benchmarks.profiling` is the process that times them.

LiteRT's Python interpreter tells no times of operators, and within XNNPACK there are none to see. Each operator is cut
out and run by itself on the activations of one picture; the whole graph is timed beside it, so that the sum can be held
against it. Alone, an operator starts with colder caches and pays an invocation, so the sum is mostly the larger.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeproof.benchmarks import child
from edgeproof.benchmarks.affinity import bind
from edgeproof.benchmarks.blocks import MIN_CALLS
from edgeproof.benchmarks.layers import layer
from edgeproof.benchmarks.report import Operator, Profile
from edgeproof.runtime import EdgeproofError, ModelError, cutting, engine, modelfile
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.graph import Graph
from edgeproof.runtime.interpreter import Runner

WARM_UP = 5


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Whose operators to time, on the first of the pictures in an `.npy` file, and on which cores."""

    model: str
    pictures: str
    calls: int = MIN_CALLS
    affinity: tuple[int, ...] = ()
    input_range: tuple[float, float] | None = None


def profile(question: Question) -> Profile:
    """Time every operator in a fresh process. Raises `ModelError` where LiteRT cannot run one of them alone."""
    return child.ask(child.command("profiling"), question, Profile, about=f"{question.model}: operators one by one")


def timed(question: Question) -> Profile:
    """Time every operator in this process, each on what the one before it gave."""
    file = modelfile.read(question.model)
    runner = Runner(file.flatbuffer, input_range=question.input_range)
    values = runner.enter(np.load(question.pictures)[:1])
    whole = [_took_ns(runner, values) for _ in range(WARM_UP + question.calls)][WARM_UP:]
    graph = Graph.read(file.flatbuffer)
    held: dict[int, NDArray[Any]] = {graph.inputs[0]: values}
    operators = []
    for number in range(len(graph.operators)):
        held[graph.given(number)], samples = _alone(graph, number, held, question.calls)
        tensor = graph.name(graph.given(number))
        operators.append(
            Operator(number=number, kind=graph.kind(number), tensor=tensor, layer=layer(tensor), samples_ns=samples)
        )
    return Profile(operators=tuple(operators), whole_ns=tuple(whole))


def _took_ns(runner: Runner, values: NDArray[Any]) -> int:
    started = time.perf_counter_ns()
    runner.raw(values)
    return time.perf_counter_ns() - started


def _alone(
    graph: Graph, number: int, held: dict[int, NDArray[Any]], calls: int
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """What an operator gives for the activations it takes, and the time of each call."""
    inputs = list(dict.fromkeys(graph.taken(number)))
    content = cutting.part(graph, [number], inputs, graph.given(number)).packed()
    try:
        with silenced():
            interpreter = engine.interpreters().Interpreter(model_content=content, num_threads=1)
            for place, tensor in enumerate(inputs):
                interpreter.resize_tensor_input(interpreter.get_input_details()[place]["index"], held[tensor].shape)
            interpreter.allocate_tensors()
        for place, tensor in enumerate(inputs):
            interpreter.set_tensor(interpreter.get_input_details()[place]["index"], held[tensor])
        samples = []
        for _ in range(WARM_UP + calls):
            started = time.perf_counter_ns()
            interpreter.invoke()
            samples.append(time.perf_counter_ns() - started)
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), tuple(samples[WARM_UP:])
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"Operator {number} ({graph.kind(number)}) cannot be run alone ({error}).") from None


def main() -> int:
    """Read a question from stdin, print the profile; 2 and one line on stderr for what cannot be profiled."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    bind(question.affinity)
    try:
        found = timed(question)
    except EdgeproofError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(msgspec.json.encode(found).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
