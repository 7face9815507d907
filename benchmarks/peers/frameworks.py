"""One CIFAR-100 model in other frameworks, on the same weights and pictures: speed in blocks in turn, and answers.

    make peers-frameworks && python benchmarks/peers/frameworks.py runs/cifar100 [--rounds 6] [--calls 50]

Every contender is a process in its own environment that answers 200 test pictures, one a call, warm, on one thread (but
MediaPipe, which cannot be told). Times are from pixels at the model's size to probabilities. The ONNX file in integers
is made by ONNX Runtime's static quantiser, calibrated with 100 further test pictures, and serves OpenVINO as well,
whose reader of TFLite refuses our int8 file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Neither runtime is to report its use.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.modules.setdefault("openvino_telemetry", None)

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".venv-peers"
PICTURES, WARM_UP = 200, 20
Call = Callable[[np.ndarray], np.ndarray]


def litert(files: Mapping[str, Path], recipe: str, kernels: str) -> tuple[Call, str]:
    """Our runtime on one of our files."""
    from importlib.metadata import version

    from edgeproof.runtime import modelfile
    from edgeproof.runtime.interpreter import Runner

    runner = Runner(modelfile.read(files[recipe]).flatbuffer, kernels=kernels)
    return runner.probabilities, f"LiteRT {version('ai-edge-litert')}"


def keras(files: Mapping[str, Path], way: str) -> tuple[Call, str]:
    """The Keras model, by `predict` or as a compiled function of TensorFlow."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras as library

    model = library.models.load_model(files["keras"])
    if way == "predict":
        return lambda pixels: model.predict(pixels.astype(np.float32), verbose=0), f"Keras {library.__version__}"
    function = tf.function(lambda values: model(values, training=False))
    return lambda pixels: function(pixels.astype(np.float32)).numpy(), f"TensorFlow {tf.__version__}"


def onnx(files: Mapping[str, Path], source: str) -> tuple[Call, str]:
    """ONNX Runtime on what tf2onnx makes of the Keras model, or on that in integers."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(files[source], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda p: session.run(None, {name: p.astype(np.float32)})[0], f"ONNX Runtime {onnxruntime.__version__}"


def openvino(files: Mapping[str, Path], source: str, **hints: str) -> tuple[Call, str]:
    """OpenVINO on the same ONNX files."""
    import openvino as library

    core = library.Core()
    compiled = core.compile_model(str(files[source]), "CPU", {"INFERENCE_NUM_THREADS": 1, **hints})
    dtype = compiled.inputs[0].get_element_type().to_dtype()
    request = compiled.create_infer_request()
    return (
        lambda pixels: np.array(next(iter(request.infer([pixels.astype(dtype)]).values()))),
        f"OpenVINO {library.__version__.split('-')[0]}",
    )


def mediapipe(files: Mapping[str, Path], recipe: str) -> tuple[Call, str]:
    """MediaPipe Tasks, which resizes and sorts as well; it takes the threads that it wants."""
    import mediapipe as library
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions

    options = ImageClassifierOptions(base_options=BaseOptions(model_asset_path=str(files[recipe])), max_results=-1)
    classifier = ImageClassifier.create_from_options(options)

    def call(pixels: np.ndarray) -> np.ndarray:
        image = library.Image(image_format=library.ImageFormat.SRGB, data=np.ascontiguousarray(pixels[0]))
        found = classifier.classify(image).classifications[0].categories
        return np.array([[each.score for each in sorted(found, key=lambda each: each.index)]], np.float32)

    return call, f"MediaPipe {library.__version__}"


# Name, interpreter (an environment's name, "" for the project's own), and what to call.
CONTENDERS: dict[str, tuple[str, Callable[[Mapping[str, Path]], tuple[Call, str]]]] = {
    "edgeproof int8": ("", lambda files: litert(files, "int8", "xnnpack")),
    "edgeproof float32": ("", lambda files: litert(files, "float32", "xnnpack")),
    "built-in kernels, int8": ("", lambda files: litert(files, "int8", "builtin")),
    "built-in kernels, float32": ("", lambda files: litert(files, "float32", "builtin")),
    "Keras predict": ("", lambda files: keras(files, "predict")),
    "tf.function": ("", lambda files: keras(files, "function")),
    "ONNX Runtime (tf2onnx)": ("onnx", lambda files: onnx(files, "onnx")),
    "ONNX Runtime, int8": ("onnx", lambda files: onnx(files, "integers")),
    "OpenVINO, f32 forced": ("openvino", lambda files: openvino(files, "onnx", INFERENCE_PRECISION_HINT="f32")),
    "OpenVINO, default": ("openvino", lambda files: openvino(files, "onnx")),
    "OpenVINO, int8": ("openvino", lambda files: openvino(files, "integers")),
    "MediaPipe Tasks, int8": ("mediapipe", lambda files: mediapipe(files, "int8")),
    "MediaPipe Tasks, float32": ("mediapipe", lambda files: mediapipe(files, "float32")),
}


def answer(name: str, given: Path, calls: int) -> None:
    """Be one contender: time the calls, answer all pictures, print both as JSON on the last line."""
    files = {key: Path(path) for key, path in json.loads((given / "files.json").read_text()).items()}
    pixels = np.load(given / "pictures.npy")
    call, version = CONTENDERS[name][1](files)
    for place in range(WARM_UP):
        call(pixels[place][None])
    samples = []
    for place in range(calls):
        one = pixels[place % len(pixels)][None]
        started = time.perf_counter_ns()
        call(one)
        samples.append(time.perf_counter_ns() - started)
    np.save(given / f"{list(CONTENDERS).index(name)}.npy", np.concatenate([call(each[None]) for each in pixels]))
    print("\n" + json.dumps({"samples_ns": samples, "version": version}))


def converted(model: Path, out: Path) -> None:
    """The Keras model as ONNX, by tf2onnx in the project's environment with the packages of its own behind it."""
    sys.path.append(str(PEERS / "onnx" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"))
    import keras as library
    import tensorflow as tf
    import tf2onnx

    loaded = library.models.load_model(model)
    taken = [tf.TensorSpec((1, *loaded.input_shape[1:]), tf.float32, name="pixels")]
    function = tf.function(lambda values: loaded(values, training=False))
    tf2onnx.convert.from_function(function, input_signature=taken, opset=18, output_path=str(out))


def quantised(model: Path, pictures: Path, out: Path) -> None:
    """An ONNX file in integers, by ONNX Runtime's own quantiser; in the environment of the peer."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(np.load(pictures).astype(np.float32))

        def get_next(self) -> dict[str, np.ndarray] | None:
            one = next(self.left, None)
            return None if one is None else {"pixels": one[None]}

    folded = out.with_suffix(".folded.onnx")
    quant_pre_process(str(model), str(folded), skip_symbolic_shape=True)
    quantize_static(str(folded), str(out), Pictures(), per_channel=True)


def prepared(model_run: Path, scratch: Path) -> dict[str, Path]:
    """The files that contenders read, and the pictures."""
    from contest import run

    from edgeproof.benchmarks.timing_pictures import timing_pixels
    from edgeproof.runtime import Classifier, testset

    exported = {recipe: next((model_run / "export").glob(f"*-{recipe}.tflite")) for recipe in ("int8", "float32")}
    files = {**exported, "keras": model_run / "model.keras", "onnx": scratch / "model.onnx"}
    run([sys.executable, __file__, model_run, "--convert", files["onnx"]])
    files["integers"] = scratch / "integers.onnx"
    (scratch / "files.json").write_text(json.dumps({key: str(path.resolve()) for key, path in files.items()}))
    classifier = Classifier(exported["int8"])
    pictures = testset.load(model_run, classifier.preprocessing, classifier.labels)
    drawn = timing_pixels(classifier, pictures, count=3 * PICTURES)
    np.save(scratch / "pictures.npy", drawn[::3])
    np.save(scratch / "calibration.npy", drawn[1::6])
    peer = PEERS / "onnx" / "bin" / "python"
    if peer.is_file():
        run([peer, __file__, model_run, "--quantise", files["onnx"], scratch / "calibration.npy", files["integers"]])
    return files


def contest(model_run: Path, rounds: int, calls: int) -> None:
    """Blocks in turn of all that are installed, and a table as Markdown."""
    from contest import blocks, ratio, run, told

    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        files = prepared(model_run, scratch)
        samples: dict[str, list[float]] = {}
        versions: dict[str, str] = {}

        def timed(contender: str, python: Path) -> Callable[[], float]:
            def block() -> float:
                done = run(
                    [python, __file__, model_run, "--answer", contender, scratch, "--calls", str(calls)],
                    TF_CPP_MIN_LOG_LEVEL="3",
                )
                found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
                versions[contender] = found["version"]
                return float(np.median(found["samples_ns"])) / 1e6

            return block

        def referee() -> float:
            result = scratch / "result.json"
            options = ["--num_runs", calls, "--warmup_runs", WARM_UP, "--num_threads", 1, "--result_json", result]
            run([Path(sys.executable).with_name("litert-benchmark"), "--model", files["int8"], *options])
            versions["litert-benchmark, int8"] = versions["edgeproof int8"]
            return float(json.loads(result.read_text())["latency"]["median_ms"])

        installed = {}
        for contender, (environment, _) in CONTENDERS.items():
            python = PEERS / environment / "bin" / "python" if environment else Path(sys.executable)
            if python.is_file():
                installed[contender] = timed(contender, python)
        samples = blocks({**installed, "litert-benchmark, int8": referee}, rounds=rounds)
        given = {}
        for contender in installed:
            with contextlib.suppress(FileNotFoundError):
                given[contender] = np.load(scratch / f"{list(CONTENDERS).index(contender)}.npy")
    print(
        "| contender | version | median ms a picture | times as long as edgeproof int8 | differs from Keras | top-1 |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    wanted = given["Keras predict"]
    for contender, values in sorted(samples.items(), key=lambda one: np.median(one[1])):
        slower = told(ratio(values, samples["edgeproof int8"]))
        parity = ("–", "–")
        if contender in given:
            flips = int((given[contender].argmax(1) != wanted.argmax(1)).sum())
            parity = f"{np.abs(given[contender] - wanted).max():.2g}", f"{flips} of {PICTURES}"
        print(f"| {contender} | {versions[contender]} | {np.median(values):.3g} | {slower} | {' | '.join(parity)} |")
    for one, other in (("edgeproof int8", "edgeproof float32"), ("built-in kernels, int8", "edgeproof int8")):
        print(f"{one} / {other}: {told(ratio(samples[one], samples[other]))}")
    print(json.dumps({"calls": calls, "samples": samples}))


def main() -> None:
    """Run the contest, or one of its parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--answer", nargs=2, metavar=("NAME", "FOLDER"), help="be one contender")
    parser.add_argument("--quantise", nargs=3, type=Path, metavar=("ONNX", "PICTURES", "FILE"))
    parser.add_argument("--convert", type=Path, metavar="FILE", help="write the model as ONNX")
    given = parser.parse_args()
    if given.answer:
        answer(given.answer[0], Path(given.answer[1]), given.calls)
    elif given.quantise:
        quantised(*given.quantise)
    elif given.convert:
        converted(given.run / "model.keras", given.convert)
    else:
        contest(given.run, given.rounds, given.calls)


if __name__ == "__main__":
    main()
