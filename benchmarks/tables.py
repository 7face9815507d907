"""A report's figures as tables of text: the same rows for the terminal, Markdown and the page."""

from __future__ import annotations

from edgeproof.benchmarks.environment import Environment
from edgeproof.benchmarks.report import FileReport, Report
from edgeproof.benchmarks.sections import Table
from edgeproof.benchmarks.statistics import Summary
from edgeproof.runtime.accuracy import Accuracy

NONE = "–"
FILES_HEADER = ("File", "Recipe", "Size", "Top-1 [95 %]", "Top-5", "Ties", "Drop vs Keras", "Same as Keras")
SPEED_HEADER = (
    "File",
    "Threads",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "Images/s",
    "Import ms",
    "Load ms",
    "First answer ms",
    "Peak MiB",
    "Steady",
)


def files(report: Report) -> Table:
    """What is true of the files on every machine; one row a file."""
    rows = tuple((file.name, file.recipe, mb(file.size_bytes), *_answers(file), *_proof(file)) for file in report.files)
    counted = f"{report.images} pictures of {report.data_name}" if report.images else "none"
    return Table(
        f"The files and how good their answers are. Pictures with a known label: {counted}. Drop and "
        "agreement are the verification that each file carries.",
        FILES_HEADER,
        rows,
    )


def speed(report: Report) -> Table:
    """What is true on this machine alone; one row a file and number of threads."""
    rows = tuple(
        (file.name, str(measurement.threads), *_speed(Summary.of(measurement)))
        for file in report.files
        for measurement in file.measurements
    )
    return Table(
        "Speed and memory on this machine: one picture a call, without decoding and resizing; "
        "images a second in batches of 32; start-up and memory of fresh processes. Not steady: medians of "
        "blocks lie apart by the factor given, so measure again on an idle machine.",
        SPEED_HEADER,
        rows,
    )


def machine(environment: Environment, after: tuple[float, float, float] | None = None) -> Table:
    """The machine, its system and the versions that were used; `after` is the load average at the end."""
    load = environment.load_average
    facts = {
        "CPU": f"{environment.cpu} ({environment.architecture})",
        "Cores": f"{environment.usable_cores} usable of {environment.cores}",
        "Frequency governor": environment.governor or "not told by the system",
        "Memory": f"{environment.memory_mb} MiB",
        "System": environment.system,
        "Python": environment.python,
        **environment.packages,
        "Instructions": " ".join(environment.flags) or "not told",
        "Load average at the start": _load(load),
        **({"Load average at the end": _load(after)} if after is not None else {}),
    }
    return Table("The machine that was measured.", ("What", "Found"), tuple(facts.items()))


def _load(average: tuple[float, float, float] | None) -> str:
    return " ".join(f"{value:.2f}" for value in average) if average else "not told"


def mb(size_bytes: int) -> str:
    """A size in megabytes of a million bytes, in kilobytes below a tenth of one."""
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def ms(value: float) -> str:
    """Milliseconds with their unit and three significant digits."""
    return f"{three_digits(value)} ms"


def three_digits(value: float) -> str:
    """A number with three significant digits, and whole ones from a hundred on."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def threads(count: int) -> str:
    """A number of threads in words that agree with it."""
    return "1 thread" if count == 1 else f"{count} threads"


def percent_with_interval(accuracy: Accuracy) -> str:
    """A share in percent with its 95 % interval, such as `94.0 % [89.8–96.5]`."""
    low, high = accuracy.interval()
    return f"{accuracy.share:.1%} [{low * 100:.1f}–{high * 100:.1f}]".replace("%", " %")


def _answers(file: FileReport) -> tuple[str, str, str]:
    if file.quality is None:
        return NONE, NONE, NONE
    # Five answers out of five classes are always right, so that says nothing.
    top5 = f"{file.quality.top5.share * 100:.1f} %" if len(file.labels) > 5 else NONE
    return percent_with_interval(file.quality.top1), top5, str(file.quality.ties)


def _proof(file: FileReport) -> tuple[str, str]:
    if file.verification is None:
        return NONE, NONE
    # Adding zero turns a rounded -0.0 into 0.0.
    drop, same = file.verification.drop_points, file.verification.same_answers
    return f"{round(drop, 2) + 0.0:.2f} points", f"{same * 100:.1f} %"


def _speed(summary: Summary) -> tuple[str, ...]:
    latency = summary.latency
    return (
        *(three_digits(value) for value in (latency.p50_ms, latency.p90_ms, latency.p99_ms)),
        f"{summary.images_per_s:.0f}",
        *(three_digits(value) for value in (summary.import_ms, summary.load_ms, summary.first_answer_ms)),
        f"{summary.rss_peak_mb:.0f}",
        "yes" if summary.steady else f"no ({summary.block_ratio:.2f}×)",
    )
