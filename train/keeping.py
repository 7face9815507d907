"""What keeps a training's work: the epochs so far, a checkpoint after each, and the best one by the validation set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edgeproof.runtime.errors import DataError
from edgeproof.train import checkpoints, history
from edgeproof.train.checkpoints import PHASES, Checkpoint
from edgeproof.train.history import Epoch
from edgeproof.train.loop import Loop, assign
from edgeproof.train.run import Run
from edgeproof.train.tensorboard import Logs

logger = logging.getLogger(__name__)


class Keeper:
    """Saves the phases of one training into its run folder, and gives back what an earlier process saved there."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._saved = checkpoints.latest(run.checkpoints)
        self.epochs: list[Epoch] = list(self._saved.history) if self._saved else []
        if self._saved:
            logger.info("%s: resuming after %s", run.folder, _position(self._saved))
            with self._explained():
                history.write(run.history, self.epochs)
        elif checkpoints.there(run.checkpoints):
            logger.warning("%s: no checkpoint in it is whole; starting afresh", run.folder)
        self._logs = Logs(run.logs, self.epochs)

    def is_past(self, phase: str, network: Any) -> bool:
        """Whether an earlier process came beyond a phase; puts the variables that it saved into the network then."""
        if self._saved is None or PHASES.index(self._saved.phase) <= PHASES.index(phase):
            return False
        with self._fitting():
            assign(network.variables, self._saved.network)
        return True

    def train(self, loop: Loop, *, patience: int = 0, ahead: Callable[[], float | None] = lambda: 0.0) -> None:
        """Run a phase from where an earlier process left it, to its end.

        With `patience` it ends after so many epochs without a better top-1 on what is watched, and the network is as
        it was after the best. `ahead` is as for `Loop.run`. Raises `DataError`, which names the last good checkpoint,
        when something cannot be written or read.
        """
        if self._saved is not None and self._saved.phase == loop.phase:
            with self._fitting():
                loop.state = list(self._saved.network), list(self._saved.rest)
            loop.step = self._saved.step
        before = len(self.epochs) - len(self._of(loop.phase))

        def after_epoch(epoch: Epoch) -> bool:
            self.epochs.append(epoch)
            # First of all: what is lost behind it is written again when the training goes on.
            self._save(loop)
            if patience:
                self._keep_best(loop)
            history.write(self._run.history, self.epochs)
            self._logs.add(epoch)
            return not self._is_enough(loop.phase, patience)

        with self._explained():
            if patience and loop.step % loop.plan.steps_per_epoch == 0:
                self._keep_best(loop)
            if not self._is_enough(loop.phase, patience):
                loop.run(after_epoch, lambda: self._save(loop), offset=before, ahead=ahead)
        loop.finish()
        if patience:
            self._take_best(loop)

    def close(self) -> None:
        """Have the logs on disk."""
        self._logs.close()

    def _of(self, phase: str) -> list[Epoch]:
        return [epoch for epoch in self.epochs if epoch.phase == phase]

    def _is_enough(self, phase: str, patience: int) -> bool:
        """Whether there were as many epochs of a phase since its best as one has patience for."""
        epochs = self._of(phase)
        return bool(patience and epochs) and epochs[-1].epoch - best_of(epochs).epoch >= patience

    def _keep_best(self, loop: Loop) -> None:
        """Save the state, which is that after the last epoch, as the best, where it is and is not yet saved so."""
        epochs = self._of(loop.phase)
        if not epochs or best_of(epochs) is not epochs[-1]:
            return
        with loop.averaged():
            checkpoints.save_best(self._run.checkpoints, self._checkpoint(loop))

    def _take_best(self, loop: Loop) -> None:
        found, wanted = checkpoints.best(self._run.checkpoints), best_of(self._of(loop.phase))
        if found is None or found.history[-1].epoch != wanted.epoch:
            logger.warning("the weights after epoch %d, the best, are gone: those after the last stay", wanted.epoch)
            return
        loop.state = list(found.network), list(found.rest)

    def _checkpoint(self, loop: Loop) -> Checkpoint:
        network, rest = loop.state
        return Checkpoint(loop.phase, loop.step, tuple(self.epochs), network, rest)

    def _save(self, loop: Loop) -> None:
        checkpoints.save(self._run.checkpoints, self._checkpoint(loop))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what is safe when something cannot be written: the training stops, and nothing is lost."""
        try:
            yield
        except DataError as error:
            cause = error.__cause__
            reason = f"{cause.strerror}." if isinstance(cause, OSError) and cause.strerror else str(error)
            place = checkpoints.newest(self._run.checkpoints)
            kept = f"The last good checkpoint is {place}" if place else "Nothing was trained yet"
            raise DataError(
                f"{self._run.folder}: the training stopped. {reason} {kept}; mend that, and the same command goes on."
            ) from cause

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        try:
            yield
        except ValueError:
            raise DataError(
                f"{self._run.checkpoints}: saved from another network, perhaps by another version. Start afresh with "
                "--no-resume."
            ) from None


def best_of(epochs: Sequence[Epoch]) -> Epoch:
    """The first epoch of the highest top-1 on what is watched."""
    return max(epochs, key=lambda epoch: epoch.watched_top1)


def _position(saved: Checkpoint) -> str:
    return f"{len(saved.history)} finished epochs, step {saved.step} of phase {saved.phase}"
