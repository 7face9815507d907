"""Damages model files in thousands of ways and counts what becomes of them.

    python benchmarks/peers/damaged_models.py [--hashed 10000] [--unhashed 2000] [--seed 0] [MODEL.tflite]

First with the contract, whose hash every damage must be caught by. Then flatbuffers that are valid but say wrong
things, without a contract, under `untrusted=True`; after those the same number of plain bit flips without a hash.
Ends with status 1 where a file was accepted that must not be, an error was none of ours, or a verdict came late.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgeproof.runtime import contract, modelfile, progress
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.graph import Graph

MODEL = Path(__file__).parents[2] / "models" / "cifar100-mobilenetv2-035-96-int8.tflite"
VERDICT_SECONDS = 3.0
HASHED_MEDIAN_MS = 20.0
NUMBERS = [0, 1, 2, 3, 7, 31, 96, 255, 256, 4096, 65535, 2**20, 2**31 - 1, -1, -2, -128, -(2**31)]
SCALES = [0.0, -1.0, 1e-45, 1e-30, 1e-8, 0.5, 1e8, 1e38, float("inf"), float("nan")]


# --- damage to bytes ------------------------------------------------------------------------------------------------


def flipped(content: bytes, draw: random.Random) -> bytes:
    """One to eight bits turned over."""
    damaged = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 8])):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def cut(content: bytes, draw: random.Random) -> bytes:
    """The file up to somewhere: anywhere, or close to either end."""
    ends = [draw.randrange(len(content)), draw.randrange(200), len(content) - 1 - draw.randrange(200)]
    return content[: draw.choice(ends)]


def swapped(content: bytes, draw: random.Random) -> bytes:
    """Two blocks of the same size that changed their places."""
    size = draw.choice([size for size in (4, 16, 512, 4096) if 2 * size < len(content)])
    one, other = sorted(draw.sample(range(0, len(content) - size, size), 2))
    parts = content[:one], content[other : other + size], content[one + size : other], content[one : one + size]
    return b"".join(parts) + content[other + size :]


def filled(content: bytes, draw: random.Random) -> bytes:
    """A block of zeros, of ones or of noise."""
    size, start = draw.choice([1, 4, 64, 4096]), draw.randrange(len(content))
    block = draw.choice([bytes(size), b"\xff" * size, draw.randbytes(size)])
    return content[:start] + block + content[start + size :]


# --- damage to meaning ----------------------------------------------------------------------------------------------


def shape(graph: Graph, draw: random.Random) -> None:
    """A side of a tensor."""
    tensor = draw.choice([each for each in graph.tensors if each.shape is not None and len(each.shape)])
    sides = list(tensor.shape)
    place = draw.randrange(len(sides))
    sides[place] = draw.choice([*NUMBERS, sides[place] + 1, sides[place] - 1, sides[place] * 2])
    tensor.shape = np.array(sides[: draw.choice([len(sides)] * 4 + [1])], np.int32)


def dtype(graph: Graph, draw: random.Random) -> None:
    """A tensor's type."""
    draw.choice(graph.tensors).type = draw.randrange(20)


def buffer(graph: Graph, draw: random.Random) -> None:
    """The buffer that a tensor points to."""
    draw.choice(graph.tensors).buffer = draw.choice([0, draw.randrange(len(graph.model.buffers)), 10**6])


def scale(graph: Graph, draw: random.Random) -> None:
    """One scale, or all of a tensor."""
    found = _quantised(graph, draw)
    scales = np.array(found.scale, np.float32)
    which = slice(None) if draw.random() < 0.5 else draw.randrange(len(scales))
    scales[which] = draw.choice([*SCALES, scales[0] * draw.choice([1e-6, 1e-3, 0.5, 2, 1e3, 1e6])])
    found.scale = scales


def scales(graph: Graph, draw: random.Random) -> None:
    """How many scales a tensor has, and along which dimension."""
    found = _quantised(graph, draw)
    if draw.random() < 0.5:
        found.quantizedDimension = draw.choice([*NUMBERS, 0, 1, 2, 3, 4])
    else:
        count = draw.choice([0, 1, 2, 5, len(found.scale) + 1])
        found.scale, found.zeroPoint = np.full(count, 0.1, np.float32), np.zeros(count, np.int64)


def zero_point(graph: Graph, draw: random.Random) -> None:
    """A tensor's zero points, or their number."""
    found = _quantised(graph, draw)
    count = draw.choice([len(found.zeroPoint)] * 4 + [0, 1, 3])
    found.zeroPoint = np.full(count, draw.choice([*NUMBERS, 2**40, -129, 128]), np.int64)


def operand(graph: Graph, draw: random.Random) -> None:
    """A tensor that an operator takes or gives."""
    operator = draw.choice(graph.operators)
    links = operator.inputs if draw.random() < 0.6 else operator.outputs
    links[draw.randrange(len(links))] = draw.choice([*NUMBERS, *[draw.randrange(len(graph.tensors))] * 20])


def arity(graph: Graph, draw: random.Random) -> None:
    """How many tensors an operator takes or gives."""
    operator = draw.choice(graph.operators)
    name = draw.choice(["inputs", "outputs"])
    links = list(getattr(operator, name))
    setattr(operator, name, np.array(draw.choice([links[:-1], links[1:], links * 2, [*links, 0], []]), np.int32))


def kind(graph: Graph, draw: random.Random) -> None:
    """What an operator does: another of the model's kinds, or a kind made to another."""
    if draw.random() < 0.5:
        draw.choice(graph.operators).opcodeIndex = draw.choice([draw.randrange(len(graph.model.operatorCodes)), 99])
        return
    code = draw.choice(graph.model.operatorCodes)
    code.builtinCode = draw.randrange(210)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = draw.choice([code.version, code.version, 1, 2, 0, 99, -1])


def option(graph: Graph, draw: random.Random) -> None:
    """An option of an operator, or which options it has."""
    operator = draw.choice([each for each in graph.operators if each.builtinOptions is not None])
    if draw.random() < 0.1:
        operator.builtinOptions, operator.builtinOptionsType = None, 0
        return
    found = operator.builtinOptions
    names = [name for name, value in vars(found).items() if isinstance(value, int | float)]
    if not names:
        return
    name = draw.choice(names)
    if isinstance(getattr(found, name), bool):
        setattr(found, name, not getattr(found, name))
    elif isinstance(getattr(found, name), float):
        setattr(found, name, draw.choice(SCALES))
    elif name in ("padding", "fusedActivationFunction", "weightsFormat", "quantizedBiasType"):
        setattr(found, name, draw.choice([0, 1, 2, 3, 4, 5, 9, 127, -1, -128]))
    else:
        setattr(found, name, draw.choice(NUMBERS))


def values(graph: Graph, draw: random.Random) -> None:
    """The bytes of a constant: noise, ones, or more or fewer of them."""
    found = draw.choice([each for each in graph.model.buffers if each.data is not None and len(each.data)])
    data = np.array(found.data, np.uint8)
    size = draw.choice([len(data)] * 4 + [1, len(data) - 1, len(data) + 1, 2 * len(data)])
    noise = np.frombuffer(draw.randbytes(size), np.uint8)
    found.data = draw.choice([noise, np.full(size, 255, np.uint8), np.zeros(size, np.uint8), np.resize(data, size)])


def small_constant(graph: Graph, draw: random.Random) -> None:
    """Axes, paddings and shapes that are given as constants of integers."""
    number = draw.choice(
        [n for n, each in enumerate(graph.tensors) if each.type == 2 and graph.constant(n) is not None]
    )
    found = np.array(graph.constant(number))
    flat = found.reshape(-1)
    flat[draw.randrange(len(flat))] = draw.choice(NUMBERS)
    graph.set_constant(number, found)


def order(graph: Graph, draw: random.Random) -> None:
    """Operators in another order, twice or not at all."""
    operators = graph.operators
    one, other = draw.randrange(len(operators)), draw.randrange(len(operators))
    if (way := draw.randrange(3)) == 0:
        operators[one], operators[other] = operators[other], operators[one]
    elif way == 1:
        operators.insert(one, operators[other])
    else:
        del operators[one]


def ends(graph: Graph, draw: random.Random) -> None:
    """The tensors that the graph takes and gives."""
    links = draw.choice([graph.inputs, graph.outputs])
    new = draw.choice([draw.randrange(len(graph.tensors)), draw.choice(NUMBERS)])
    links[:] = draw.choice([[new], [*links, new], [], [new, new]])


def state(graph: Graph, draw: random.Random) -> None:
    """A tensor that keeps its values, an open shape, or another schema."""
    tensor = draw.choice(graph.tensors)
    if (way := draw.randrange(4)) == 0:
        tensor.isVariable = True
    elif way == 1 and tensor.shape is not None:
        tensor.shapeSignature = np.array([draw.choice([-1, 0, 5, -7]) for _ in tensor.shape], np.int32)
    elif way == 2:
        graph.model.version = draw.choice([0, 1, 2, 4])
    else:
        graph.model.subgraphs = graph.model.subgraphs * draw.choice([0, 2])


def _quantised(graph: Graph, draw: random.Random):
    found = [each.quantization for each in graph.tensors if each.quantization is not None]
    return draw.choice([each for each in found if each.scale is not None and len(each.scale)])


BYTES = (flipped, cut, swapped, filled)
MEANINGS = (
    *(shape, dtype, buffer, scale, scales, zero_point, operand, arity, kind, option, values, small_constant),
    *(order, ends, state),
)


def misstated(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """A flatbuffer that can be read and is wrong in one to three places, and what was changed."""
    while True:
        graph, changes = Graph.read(content), draw.sample(MEANINGS, draw.choice([1, 1, 2, 3]))
        try:
            for change in changes:
                change(graph, draw)
            subgraphs = graph.model.subgraphs
            damaged = graph.packed() if subgraphs else b""
        except (IndexError, ValueError, TypeError, OverflowError, KeyError):
            continue  # the schema's own code cannot write that down
        if damaged and damaged != content:
            return damaged, "+".join(sorted(change.__name__ for change in changes))


# --- what becomes of them -------------------------------------------------------------------------------------------


def hashed(count: int, content: bytes, folder: Path, draw: random.Random) -> dict[str, object]:
    """Damage files that have a contract; every one must be refused with a `ModelError`."""
    parts = modelfile.read(_written(folder, content))
    verdicts, milliseconds, accepted = Counter(), [], 0
    for number in _counted(count, "with a hash"):
        way, damaged = [*BYTES, None][number % 5], content
        while damaged == content:  # two blocks may be the same
            if way is None:
                damaged = modelfile.pack(misstated(parts.flatbuffer, draw)[0], parts.attachments)
            else:
                damaged = way(content, draw)
        path = _written(folder, damaged)
        start = time.perf_counter()
        try:
            Classifier(path)
            accepted += 1
        except ModelError as error:
            verdicts[_reason(str(error), path)] += 1
        milliseconds.append(1000 * (time.perf_counter() - start))
    spread = {"median": statistics.median(milliseconds), "largest": max(milliseconds)}
    return {"files": len(milliseconds), "accepted": accepted, "milliseconds": spread, "verdicts": dict(verdicts)}


def unhashed(count: int, content: bytes, labels: list[str], folder: Path, draw: random.Random, *, meaning: bool):
    """Give flatbuffers without a contract to a process of their own, and ask those that load for answers."""
    outcomes, reasons, seconds, survivors = Counter(), Counter(), [], Counter()
    for _ in _counted(count, "without a hash"):
        damaged, change = misstated(content, draw) if meaning else (draw.choice(BYTES)(content, draw), "bytes")
        path = _written(folder, damaged)
        start = time.perf_counter()
        try:
            with Classifier(path, labels=labels, untrusted=True) as classifier:
                height, width = classifier.preprocessing.input_size
                noise = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
                classifier.probabilities(noise)
            outcomes["answered"] += 1
            survivors[change] += 1
        except ModelError as error:
            outcome = _outcome(str(error))
            outcomes[outcome] += 1
            reasons[f"{outcome}: {_reason(str(error), path)[:90]}"] += outcome != "refused by the check"
            if "crashed" in outcome or "late" in outcome:
                _kept(damaged, f"{outcome.split()[0]}-{sum(outcomes.values())}-{change}")
        seconds.append(time.perf_counter() - start)
    spread = {"median": statistics.median(seconds), "largest": max(seconds)}
    return {
        **{"files": count, "outcomes": dict(outcomes), "seconds": spread},
        **{
            "reasons": {k: n for k, n in reasons.most_common(12) if n},
            "answered after": dict(survivors.most_common(20)),
        },
    }


def _counted(count: int, name: str) -> Iterator[int]:
    with progress.bar(name, count) as advance:
        for number in range(count):
            yield number
            advance(1)


def _outcome(message: str) -> str:
    for text, outcome in (
        ("crashed", "crashed LiteRT in the child"),
        ("took longer", "was too late"),
        ("more memory", "wanted too much memory"),
        ("by LiteRT (", "refused by LiteRT"),
        ("damaged", "refused by the check"),
    ):
        if text in message:
            return outcome
    return "refused as no classifier"


def _reason(message: str, path: Path) -> str:
    """A message without the numbers in it."""
    return "".join("N" if letter.isdigit() else letter for letter in message.replace(str(path), "FILE"))[:60]


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return path


_keep: list[Path] = []


def _kept(content: bytes, name: str) -> None:
    for folder in _keep:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.tflite").write_bytes(content)


def main() -> int:
    """Run all three and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, default=MODEL)
    parser.add_argument("--hashed", type=int, default=10_000)
    parser.add_argument("--unhashed", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for files that crashed or were late")
    given = parser.parse_args()
    _keep.extend([given.keep] if given.keep else [])
    content, draw = given.model.read_bytes(), random.Random(given.seed)
    parts = modelfile.read(given.model)
    labels = [f"class {number}" for number in range(len(parts.labels or ()))]
    bare = bytes(parts.flatbuffer).replace(contract.CONTRACT_NAME.encode(), b"x" * len(contract.CONTRACT_NAME))
    found: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.hashed:
            found["with a hash"] = hashed(given.hashed, content, folder, draw)
        if given.unhashed:
            found["wrong content"] = unhashed(given.unhashed, bare, labels, folder, draw, meaning=True)
            found["wrong bytes"] = unhashed(given.unhashed, bare, labels, folder, draw, meaning=False)
    print(json.dumps(found, indent=2))
    with_hash = found.get("with a hash", {"accepted": 0, "milliseconds": {"median": 0}})
    late = any(
        found[key]["seconds"]["largest"] > VERDICT_SECONDS for key in ("wrong content", "wrong bytes") if key in found
    )
    return int(bool(with_hash["accepted"]) or with_hash["milliseconds"]["median"] > HASHED_MEDIAN_MS or late)


if __name__ == "__main__":
    sys.exit(main())
