"""What lies behind a report's two first tables, as tables: tails, cold start, offline, stages, kernels, operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.report import Backend, FileReport, Report
from edgeproof.benchmarks.sections import Table
from edgeproof.benchmarks.statistics import Summary, intervals, throughput
from edgeproof.benchmarks.tables import NONE, three_digits

STAGES = ("decode", "resize", "enter", "invoke", "top")
# Operators that are named one by one; the others are most of the rows and little of the time.
OPERATORS = 10
BACKENDS = {
    "xnnpack": "XNNPACK",
    "builtin": "built-in kernels",
    "reference": "reference kernels",
    "compiled": "CompiledModel",
}


def all_of(report: Report) -> dict[str, Table]:
    """The tables that the report has figures for, by their titles, in reading order."""
    made: dict[str, Callable[[Report], Table]] = {
        "Latency": latency,
        "Cold start": cold_start,
        "Offline": offline,
        "Stages": stages,
        "Memory": memory,
        "Backends": backends,
        "Operators": operators,
    }
    tables = {title: table(report) for title, table in made.items()}
    return {title: table for title, table in tables.items() if table.rows}


def latency(report: Report) -> Table:
    """Percentiles with intervals, MLPerf's estimate, and paced calls; one row a file and number of threads."""
    return Table(
        "Warm latency in ms with 95 % intervals, by drawing whole blocks again. Early stopping is MLPerf's figure for "
        "a single stream: p90 exceeds it with a chance of 1 %. "
        + (f"Paced: one call each {report.paced_ms:g} ms. " if report.paced_ms is not None else "")
        + "Dropped: leading calls of a block before it was warm.",
        ("File", "Threads", "p50", "p90", "p95", "p99", "Early stopping", "Paced p50", "Paced p90", "Dropped", "A/A"),
        tuple((file.name, str(m.threads), *_latency(m)) for file, m in _measurements(report)),
    )


def cold_start(report: Report) -> Table:
    """The parts of a first answer in ms; one row a file, at the fewest threads."""
    firsts = [(file, Summary.of(file.measurements[0])) for file in report.files if file.measurements]
    split = [(file, one) for file, one in firsts if one.interpreter_ms]
    return Table(
        "From the start of Python to the first answer, ms, medians of fresh processes: importing edgeproof.runtime, "
        "reading and checking the file, making LiteRT's interpreter (with the import of its library), allocating "
        "tensors, the first call.",
        ("File", "Import", "Read and check", "Interpreter", "Allocate", "First call", "Together"),
        tuple(
            (file.name, *map(three_digits, parts), three_digits(sum(parts)))
            for file, one in split
            for parts in ((one.import_ms, one.read_ms, one.interpreter_ms, one.allocate_ms, one.first_answer_ms),)
        ),
    )


def offline(report: Report) -> Table:
    """Images a second by threads and batch size."""
    rates = [(file, m, throughput(m)) for file, m in _measurements(report)]
    sizes = sorted({batch for *_, found in rates for batch in found})
    return Table(
        "Offline throughput, images a second, by batch size; medians of the blocks.",
        ("File", "Threads", *(f"Batch {size}" for size in sizes)),
        tuple(
            (file.name, str(m.threads), *(f"{found[size]:.0f}" if size in found else NONE for size in sizes))
            for file, m, found in rates
            if found
        ),
    )


def stages(report: Report) -> Table:
    """The way from a picture file to labels, each stage apart and all together; at the fewest threads."""
    rows = []
    for file in report.files:
        measured = [b.stages for m in file.measurements[:1] for b in m.blocks if b.stages is not None]
        if measured:
            # Of each picture, because medians do not add up where calls are interrupted.
            apart = np.hstack([[getattr(each, f"{stage}_ns") for stage in STAGES] for each in measured])
            whole = np.concatenate([each.together_ns for each in measured])
            figures = (*np.median(apart, axis=1), np.median(apart.sum(axis=0)), np.median(whole))
            rows.append((file.name, *(three_digits(float(ns) / 1e6) for ns in figures)))
    return Table(
        f"From picture file to best labels, ms, medians, with {report.stage_files or 'picture files'}. Stages apart, "
        "their sum (the median of the pictures' sums), and one call of Classifier.classify.",
        ("File", "Decode", "Resize", "Quantise", "Invoke", "Top-k", "Sum", "Together"),
        tuple(rows),
    )


def memory(report: Report) -> Table:
    """Resident memory of fresh processes, the activations' share, and who ran the operators."""
    rows = []
    for file in report.files:
        if not file.measurements or file.execution is None or file.arena_mb is None:
            continue
        one, ran = Summary.of(file.measurements[0]), file.execution
        sizes = (one.rss_before_mb, one.rss_loaded_mb, one.rss_peak_mb, file.arena_mb)
        share = f"{ran.delegated} of {ran.operators} operators"
        rows.append((file.name, *map(three_digits, sizes), f"{ran.delegate}: {share}" if ran.delegate else "none"))
    return Table(
        "Memory of a process in MiB: before the file is loaded, after, at its highest; the least that activations "
        "need; and which delegate took how much of the graph.",
        ("File", "Before", "Loaded", "Peak", "Activations", "Delegate"),
        tuple(rows),
    )


def backends(report: Report) -> Table:
    """Every way to run a file, with the largest difference of its answers from XNNPACK's on one thread."""
    return Table(
        "Ways to run a file on this processor: median ms a call, how many times as fast as XNNPACK on one thread with "
        "one picture (above 1 it is faster; a picture, not a call, counts), and how its answers differ from that.",
        ("File", "Backend", "Threads", "Batch", "p50 ms", "Times as fast", "Largest difference", "Other top-1"),
        tuple((file.name, *_backend(file, each)) for file in report.files for each in file.backends),
    )


def operators(report: Report) -> Table:
    """The slowest operators of each file, run alone, with their layers."""
    return Table(
        f"The {OPERATORS} slowest operators, each cut out and run alone on one thread: median µs, and its share of the "
        "sum of all. Sum and whole graph stand in the last row of a file; the two differ.",
        ("File", "Operator", "Kind", "Layer", "µs", "Share"),
        tuple(row for file in report.files for row in _operators(file)),
    )


def _measurements(report: Report) -> Iterator[tuple[FileReport, Measurement]]:
    return ((file, measurement) for file in report.files for measurement in file.measurements)


def _latency(measurement: Measurement) -> tuple[str, ...]:
    one = Summary.of(measurement)
    low, high = intervals(measurement)
    told = [
        f"{three_digits(getattr(one.latency, name))} [{three_digits(getattr(low, name))}–"
        f"{three_digits(getattr(high, name))}]"
        for name in ("p50_ms", "p90_ms", "p95_ms", "p99_ms")
    ]
    early = NONE if one.early_stopping_ms is None else three_digits(one.early_stopping_ms)
    paced = (NONE, NONE) if one.paced is None else (three_digits(one.paced.p50_ms), three_digits(one.paced.p90_ms))
    halves = one.stability.halves
    itself = NONE if halves is None else f"{halves.value:.2f} [{halves.low:.2f}–{halves.high:.2f}]"
    return (*told, early, *paced, f"{one.warm_up_calls:.0f}", itself)


def _backend(file: FileReport, each: Backend) -> tuple[str, ...]:
    named = (BACKENDS.get(each.name, each.name), str(each.threads), str(each.batch))
    if each.error or not each.blocks_ns:
        return (*named, NONE, NONE, each.error or NONE, NONE)
    taken, first = _median_ns(each.blocks_ns), _median_ns(file.backends[0].blocks_ns)
    faster = first / taken * each.batch
    return (
        *named,
        three_digits(taken / 1e6),
        three_digits(faster),
        f"{each.largest_difference:.2g}",
        f"{each.flips} of {each.pictures}",
    )


def _median_ns(blocks: Sequence[Sequence[int]]) -> float:
    return float(np.median(np.concatenate(blocks)))


def _operators(file: FileReport) -> list[tuple[str, ...]]:
    if file.profile is None:
        return []
    taken = [(float(np.median(each.samples_ns)) / 1e3, each) for each in file.profile.operators]
    total = sum(us for us, _ in taken)
    slowest = sorted(taken, key=lambda one: -one[0])[:OPERATORS]
    rows = [
        (
            file.name,
            str(each.number),
            each.kind,
            each.layer or NONE,
            f"{us:.0f}",
            f"{us / total:.1%}".replace("%", " %"),
        )
        for us, each in slowest
    ]
    whole = float(np.median(file.profile.whole_ns)) / 1e3
    return [*rows, (file.name, NONE, "all, one by one", f"whole graph: {whole:.0f} µs", f"{total:.0f}", "100 %")]
