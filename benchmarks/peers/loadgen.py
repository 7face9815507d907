"""Our latency beside two referees': MLPerf LoadGen's single-stream p90, and litert-benchmark's p50. Blocks in turn.

    make peers-frameworks && python benchmarks/peers/loadgen.py runs/cifar100/export/*-int8.tflite [--rounds 12]

LoadGen calls the same `Classifier`, on the same pictures; its samples are its own. litert-benchmark (of the same
LiteRT) runs `CompiledModel` on random input and without copying tensors. All use one thread.
"""

from __future__ import annotations

import argparse
import array
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from contest import ROOT, blocks, ratio, report, run, told

from edgeproof.benchmarks import child, early_stopping
from edgeproof.benchmarks.blocks import Block, Job
from edgeproof.benchmarks.timing_pictures import chosen, timing_pixels
from edgeproof.runtime import Classifier

PACKAGES = ROOT / ".venv-peers" / "loadgen" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
LITERT = Path(sys.executable).with_name("litert-benchmark")


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--system", nargs=2, metavar=("PICTURES", "LOGS"), help="be the system that LoadGen asks")
    given = parser.parse_args()
    if given.system:
        system(given.model, *map(Path, given.system), given.calls)
        return
    contest(given.model, given.rounds, given.calls)


def contest(model: Path, rounds: int, calls: int) -> None:
    """Blocks of all three in turn, each in a fresh process; p50 and p90 of each block."""
    classifier = Classifier(model)
    p50: dict[str, list[float]] = {"edgeproof": [], "LoadGen": [], "litert-benchmark": []}
    p90: dict[str, list[float]] = {"edgeproof": [], "LoadGen": []}
    early: dict[str, list[float]] = {"edgeproof": [], "LoadGen": []}
    with tempfile.TemporaryDirectory() as scratch:
        pictures, logs, result = (Path(scratch) / name for name in ("pictures.npy", "logs", "result.json"))
        logs.mkdir()
        np.save(pictures, timing_pixels(classifier, None, chosen([classifier], None)))

        def ours() -> float:
            job = Job(model=str(model), pictures=str(pictures), threads=1, calls=calls, batches=(), warmup=50)
            samples = child.ask(child.command("worker"), job, Block, about="block").samples_ns
            p50["edgeproof"].append(float(np.median(samples)) / 1e6)
            p90["edgeproof"].append(sorted(samples)[int(len(samples) * 0.9)] / 1e6)
            early["edgeproof"].append((early_stopping.estimate_ns(samples) or 0) / 1e6)
            return p90["edgeproof"][-1]

        def referee() -> float:
            run([sys.executable, __file__, model, "--calls", str(calls), "--system", pictures, logs])
            text = (logs / "mlperf_log_summary.txt").read_text()
            p50["LoadGen"].append(_number(r"50.00 percentile latency \(ns\)\s*: (\d+)", text) / 1e6)
            p90["LoadGen"].append(_number(r"90.0th percentile latency \(ns\) : (\d+)", text) / 1e6)
            early["LoadGen"].append(_number(r"Early stopping 90.0th percentile estimate: (\d+)", text) / 1e6)
            # The formula of `early_stopping` is the referee's own.
            discarded = int(_number(r"Would discard (\d+) highest", text))
            assert early_stopping.estimate_ns(range(calls)) == calls - discarded - 1, discarded
            return p90["LoadGen"][-1]

        def litert() -> float:
            options = ["--num_runs", str(calls), "--warmup_runs", "50", "--num_threads", "1", "--result_json", result]
            run([LITERT, "--model", model, *options])
            p50["litert-benchmark"].append(json.loads(result.read_text())["latency"]["median_ms"])
            return p50["litert-benchmark"][-1]

        contenders: dict[str, Callable[[], float]] = {"edgeproof": ours, "LoadGen": referee, "litert-benchmark": litert}
        blocks(contenders, rounds=rounds)
    held = {
        "p90, edgeproof / LoadGen": (p90["edgeproof"], p90["LoadGen"]),
        "p50, edgeproof / LoadGen": (p50["edgeproof"], p50["LoadGen"]),
        "p50, edgeproof / litert-benchmark": (p50["edgeproof"], p50["litert-benchmark"]),
        "early stopping, edgeproof / LoadGen": (early["edgeproof"], early["LoadGen"]),
    }
    verdicts = {name: f"{told(ratio(*pair))}, round by round {told(paired(*pair))}" for name, pair in held.items()}
    report(f"p90 of {model.name}, {rounds} blocks of {calls} calls", p90, "ms", {})
    report("p50", p50, "ms", verdicts)


def paired(ours: list[float], theirs: list[float], *, seed: int = 0) -> tuple[float, float, float]:
    """The median of the ratios of each round, with a 95 % bootstrap interval: a neighbour disturbs whole rounds."""
    ratios = np.array(ours) / np.array(theirs)
    drawn = np.median(np.random.default_rng(seed).choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(np.median(ratios)), float(low), float(high)


def system(model: Path, pictures: Path, logs: Path, calls: int) -> None:
    """Answer LoadGen's queries, one picture each."""
    sys.path.append(str(PACKAGES))
    import mlperf_loadgen as loadgen

    classifier, pixels = Classifier(model), np.load(pictures)
    for place in range(50):
        classifier.probabilities(pixels[place % len(pixels)][None])

    def answer(queries: list) -> None:
        for query in queries:
            found = array.array("B", classifier.probabilities(pixels[query.index][None]).tobytes())
            address, length = found.buffer_info()
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query.id, address, length)])

    settings, out = loadgen.TestSettings(), loadgen.LogSettings()
    settings.scenario, settings.mode = loadgen.TestScenario.SingleStream, loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = calls
    settings.min_duration_ms = 1
    out.enable_trace, out.log_output.outdir = False, str(logs)
    tested = loadgen.ConstructSUT(answer, lambda: None)
    library = loadgen.ConstructQSL(len(pixels), len(pixels), lambda wanted: None, lambda wanted: None)
    loadgen.StartTestWithLogSettings(tested, library, settings, out)
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(tested)


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"no '{pattern}' in LoadGen's summary:\n{text}")
    return float(found.group(1))


if __name__ == "__main__":
    main()
