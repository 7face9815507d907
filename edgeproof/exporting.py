"""What `edgeproof convert` starts from, and its search; stages are imported inside functions, after TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproof import show
from edgeproof.runtime.atomic import writable_folder
from edgeproof.runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeproof.convert.calibration import CalibrationSet
    from edgeproof.convert.conversion import About
    from edgeproof.convert.inputs import Inputs
    from edgeproof.convert.recipes import Goal, Options

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Source:
    """A run folder, or anybody's Keras model with labels and data. Raises `ConfigError` for neither and for both."""

    run_folder: Path | None
    keras: Path | None
    labels: Path | None
    data: str | None
    test_data: str | None
    input_range: tuple[float, float]
    seed: int

    def __post_init__(self) -> None:
        if (self.run_folder is None) == (self.keras is None):
            raise ConfigError("convert: give either a run folder, or --keras with --labels and --data.")
        if self.keras is not None and (self.labels is None or self.data is None):
            raise ConfigError("convert --keras needs --labels FILE.txt and --data PATH as well.")


def is_automatic(recipes: Sequence[str], *, repair: str, estimator: str) -> bool:
    """Whether the search is to choose the recipe. Raises `ConfigError` for what it does not go with."""
    if AUTO not in recipes:
        return False
    if len(recipes) > 1:
        raise ConfigError("--recipe auto chooses among the recipes itself: give it alone.")
    if (repair, estimator) != ("all", "min-max"):
        raise ConfigError("--recipe auto chooses repairs and estimators itself: leave out --repair and --estimator.")
    return True


def place(source: Source, out: Path | None) -> Path:
    """The folder to write into, tried before minutes of work. Raises `DataError`."""
    found = out or (source.run_folder / "export" if source.run_folder else Path("export"))
    if source.run_folder is None or source.run_folder.is_dir():
        writable_folder(found)
    return found


def opened(source: Source, place: Path, *, images: int, own: Path | None) -> tuple[Inputs, CalibrationSet]:
    """Read what a source names, choose calibration pictures (a user's with `own`), and record which they are."""
    from edgeproof.convert import inputs

    if source.keras is not None and source.labels is not None and source.data is not None:
        given = inputs.from_keras(
            source.keras,
            labels=source.labels,
            data=source.data,
            test_data=source.test_data,
            input_range=source.input_range,
            seed=source.seed,
        )
        record = place / "calibration.csv"
    else:
        given = inputs.from_run(source.run_folder or Path())
        record = (source.run_folder or Path()) / "calibration.csv"
    return given, inputs.calibrate(given, record=record, images=images, seed=source.seed, own=own)


def search(
    given: Inputs, sample: CalibrationSet, goal: Goal, out: Path, about: About, options: Options, *, as_json: bool
) -> None:
    """Search and show it. Raises `VerificationError` where nothing is good enough, or the chosen file is refused."""
    from edgeproof.benchmarks.latency import medians_ms
    from edgeproof.convert import automatic, verification

    found, summary = automatic.convert(given, sample, goal, out=out, latency=medians_ms, about=about, options=options)
    show.search(found, summary, out, as_json=as_json)
    automatic.gate(found)
    if summary is not None:
        verification.gate(summary)
