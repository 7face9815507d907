"""How many of LiteRT's answers OpenVINO gives when it reads an int8 file itself, and whether saturation parts them.

    python benchmarks/peers/openvino_int8.py [FILE.tflite] [--images 10000]

Needs EDGEPROOF_DATA. Besides the file as it is (the shipped one unless given), both take a copy whose weights have
seven bits: without VNNI, OpenVINO's library adds products of bytes in pairs of 16 bits, and of seven bits they fit.
The copy is no better than it must be for that: its own top-1 is lower.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert import telemetry
from edgeproof.runtime import labelled, modelfile
from edgeproof.runtime.graph import WEIGHTED, Graph
from edgeproof.runtime.interpreter import Runner

MODEL = Path(__file__).parents[2] / "models" / "cifar100-mobilenetv2-035-96-int8.tflite"


def in_seven_bits(content: bytes) -> bytes:
    """The graph with the integers of its weights and biases halved and their scales doubled."""
    graph = Graph.read(content)
    for number, operator in enumerate(graph.operators):
        constants = [int(tensor) for tensor in operator.inputs[1:3]] if graph.kind(number) in WEIGHTED else []
        for tensor in constants:
            values = graph.constant(tensor) if tensor >= 0 else None
            if values is not None and not graph.is_float(tensor):
                graph.set_constant(tensor, np.round(values / 2))
                found = graph.tensors[tensor].quantization
                found.scale = np.asarray(found.scale) * np.float32(2)
    return graph.packed()


def openvino(content: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What OpenVINO's reader of TFLite makes of a file, one picture a call."""
    library = telemetry.openvino()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.tflite"
        path.write_bytes(content)
        request = library.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
        return np.concatenate([np.array(request.infer([each[np.newaxis]])[0]) for each in pixels])


def main() -> None:
    """Answer the test pictures by both, with both files, and print a row for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", type=Path, default=MODEL)
    parser.add_argument("--images", type=int, default=10_000)
    given = parser.parse_args()
    file = modelfile.read(given.model)
    if file.contract is None or file.labels is None:
        parser.error(f"{given.model} says nothing of its pixels and labels. Give a file of edgeproof's.")
    archive = labelled.Archive(Path(os.environ["EDGEPROOF_DATA"]) / "data" / "cifar100-test.zip")
    items = labelled.judged(labelled.find(archive))
    test, _ = labelled.decode(archive, items, file.contract.preprocessing, file.labels)
    # Folders come sorted: every so many, so that all classes are among fewer pictures.
    test = test.take(range(0, len(test), max(1, len(test) // given.images)))
    pixels = np.concatenate([batch for batch, _ in test.batches(500)])
    print(f"{'':20} {'LiteRT':>8} {'OpenVINO':>8} {'same answers':>12}  of {len(test)}")
    for name, content in (("the file", file.flatbuffer), ("weights of 7 bits", in_seven_bits(file.flatbuffer))):
        ours, theirs = (
            answers.argmax(axis=1) for answers in (Runner(content).probabilities(pixels), openvino(content, pixels))
        )
        shares = [float((found == true).mean()) for found, true in ((ours, test.classes), (theirs, test.classes))]
        print(f"{name:20} {shares[0]:8.2%} {shares[1]:8.2%} {(ours == theirs).mean():12.2%}")


if __name__ == "__main__":
    main()
