"""What a user says of the files that do not speak for themselves: those without a contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeproof.runtime import modelfile
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.modelfile import ModelFile


@dataclass(frozen=True, slots=True)
class Foreign:
    """Labels and input range, as given on the command line for other tools' files."""

    labels: tuple[str, ...] | None = None
    input_range: tuple[float, float] | None = None

    def of(self, file: ModelFile) -> Foreign:
        """This for a file without a contract, and nothing for one that has its own."""
        return self if file.contract is None else Foreign()


def opened(path: Path, foreign: Foreign, *, num_threads: int) -> Classifier:
    """Open a file of either kind; what is said goes to those without a contract alone. Raises `ModelError`."""
    said = foreign.of(modelfile.read(path))
    return Classifier(path, labels=said.labels, input_range=said.input_range, num_threads=num_threads)
