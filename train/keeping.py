"""What keeps a training's work: the epochs so far, a checkpoint after each, and the best one by the validation set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from edgeproof.train import checkpoints, history
from edgeproof.train.checkpoints import PHASES, Checkpoint
from edgeproof.train.history import Epoch
from edgeproof.train.loop import Loop, assign
from edgeproof.train.run import Run

logger = logging.getLogger(__name__)


class Keeper:
    """Saves the phases of one training into its run folder, and gives back what an earlier process saved there."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._saved = checkpoints.latest(run.checkpoints)
        self.epochs: list[Epoch] = list(self._saved.history) if self._saved else []
        if self._saved:
            logger.info("%s: resuming after %s", run.folder, self._position(self._saved))

    def is_past(self, phase: str, network: Any) -> bool:
        """Whether an earlier process came beyond a phase; puts the variables that it saved into the network then."""
        if self._saved is None or PHASES.index(self._saved.phase) <= PHASES.index(phase):
            return False
        assign(network.variables, self._saved.network)
        return True

    def train(self, loop: Loop, *, patience: int = 0) -> None:
        """Run a phase from where an earlier process left it, to its end.

        With `patience` it ends after so many epochs without a better top-1 on what is watched, and the network is as
        it was after the best.
        """
        if self._saved is not None and self._saved.phase == loop.phase:
            loop.state, loop.step = (list(self._saved.network), list(self._saved.rest)), self._saved.step
        before = len(self.epochs) - len(self._of(loop.phase))

        def after_epoch(epoch: Epoch) -> bool:
            self.epochs.append(epoch)
            history.write(self._run.history, self.epochs)
            if patience and epoch is best_of(self._of(loop.phase)):
                with loop.averaged():
                    checkpoints.save_best(self._run.checkpoints, self._checkpoint(loop))
            self._save(loop)
            return not (patience and self._waited(loop.phase) >= patience)

        if not (patience and self._waited(loop.phase) >= patience):
            loop.run(after_epoch, lambda: self._save(loop), offset=before)
        loop.finish()
        found = checkpoints.best(self._run.checkpoints) if patience else None
        if found is not None:
            loop.state = list(found.network), list(found.rest)

    def _of(self, phase: str) -> list[Epoch]:
        return [epoch for epoch in self.epochs if epoch.phase == phase]

    def _waited(self, phase: str) -> int:
        """Epochs of a phase since its best."""
        epochs = self._of(phase)
        return epochs[-1].epoch - best_of(epochs).epoch if epochs else 0

    def _checkpoint(self, loop: Loop) -> Checkpoint:
        network, rest = loop.state
        return Checkpoint(loop.phase, loop.step, tuple(self.epochs), network, rest)

    def _save(self, loop: Loop) -> None:
        checkpoints.save(self._run.checkpoints, self._checkpoint(loop))

    def _position(self, saved: Checkpoint) -> str:
        return f"{len(saved.history)} finished epochs, step {saved.step} of phase {saved.phase}"


def best_of(epochs: Sequence[Epoch]) -> Epoch:
    """The first epoch of the highest top-1 on what is watched."""
    return max(epochs, key=lambda epoch: epoch.watched_top1)
