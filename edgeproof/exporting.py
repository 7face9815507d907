"""What `edgeproof convert` starts from, and its search; stages are imported inside functions, after TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproof import show
from edgeproof.runtime.atomic import writable_folder
from edgeproof.runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeproof.convert.calibration import CalibrationSet
    from edgeproof.convert.conversion import About
    from edgeproof.convert.formats import Format
    from edgeproof.convert.inputs import Inputs
    from edgeproof.convert.recipes import Goal, Options, Recipe
    from edgeproof.runtime.pixels import Fit, Resample

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A run folder, or anybody's Keras model with labels and data. Raises `ConfigError` for neither and for both.

    The defaults are those of the commands' options: what differs from them was given.
    """

    run_folder: Path | None
    seed: int
    keras: Path | None = None
    labels: Path | None = None
    data: str | None = None
    test_data: str | None = None
    input_range: tuple[float, float] = (0.0, 255.0)
    resample: Resample = "bilinear"
    fit: Fit = "stretch"

    def __post_init__(self) -> None:
        if (self.run_folder is None) == (self.keras is None):
            raise ConfigError("Give either a run folder, or --keras with --labels and --data.")
        if self.keras is not None and (self.labels is None or self.data is None):
            raise ConfigError("--keras needs --labels FILE.txt and --data PATH as well.")
        alone = {field.name: field.default for field in fields(self) if field.name not in ("run_folder", "seed")}
        given = [name for name, default in alone.items() if getattr(self, name) != default]
        if self.run_folder is not None and given:
            named = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ConfigError(
                f"{self.run_folder} brings its own labels, pictures and preprocessing. Leave out {named}, "
                "or give --keras in the run folder's place."
            )


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


def read(source: Source) -> Inputs:
    """Read the model and the pictures that a source names."""
    from edgeproof.convert import inputs
    from edgeproof.train.config import Data

    if source.keras is not None and source.labels is not None and source.data is not None:
        return inputs.from_keras(
            source.keras,
            labels=source.labels,
            data=Data(source=source.data, test=source.test_data, resample=source.resample, fit=source.fit),
            input_range=source.input_range,
            seed=source.seed,
        )
    return inputs.from_run(source.run_folder or Path())


def opened(source: Source, place: Path, *, images: int, own: Path | None) -> tuple[Inputs, CalibrationSet]:
    """Read what a source names, choose calibration pictures (a user's with `own`), and record which they are."""
    from edgeproof.convert import inputs

    given = read(source)
    record = (source.run_folder or place) / "calibration.csv"
    return given, inputs.calibrate(given, record=record, images=images, seed=source.seed, own=own)


def compressed(given: Inputs, *, prune: float, cluster: int) -> Inputs:
    """The same with a pruned or clustered copy of the model; what it is held against stays the original's answers."""
    if not prune and not cluster:
        return given
    from edgeproof import session

    with session.extra("qat"):
        from edgeproof.convert import compression
    model, notes = given.reference.model, {}
    if prune:
        model = compression.prune(model, prune, train=given.train)
        notes["pruned"] = f"{compression.sparsity_of(model):.2f}"
    if cluster:
        model = compression.cluster(model, cluster, train=given.train)
        notes["clustered"] = str(cluster)
    reference = replace(given.reference, model=model, provenance={**given.reference.provenance, **notes})
    return replace(given, reference=reference)


def formats(names: Sequence[str], *, automatic: bool) -> tuple[Format, ...]:
    """The other formats to write a model in. Raises `ConfigError` for unknown ones, and where an extra is missing."""
    if names and automatic:
        raise ConfigError("--also goes with recipes that are named: leave out --recipe auto.")
    from edgeproof import session
    from edgeproof.convert import formats as known

    found = []
    for name in dict.fromkeys(names):
        with session.extra(name):
            found.append(known.named(name))
    return tuple(found)


def convert(
    given: Inputs,
    recipes: Sequence[Recipe],
    sample: CalibrationSet,
    out: Path,
    about: About,
    options: Options,
    *,
    max_drop: float,
    also: Sequence[Format] = (),
    as_json: bool,
) -> None:
    """Export by these recipes, and show it. Raises `VerificationError` where a file is refused."""
    from edgeproof.convert import conversion, verification

    summary = conversion.convert(
        given.reference,
        recipes,
        sample,
        given.evidence,
        out=out,
        max_drop=max_drop,
        about=about,
        options=options,
        workshop=conversion.bench(given.reference, sample, options, train=given.train),
        also=also,
    )
    show.conversion(summary, out, as_json=as_json)
    verification.gate(summary)


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
