"""The epochs of a training for TensorBoard, which need not be installed for them to be written."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from edgeproof.train.history import Epoch

logger = logging.getLogger(__name__)


class Logs:
    """Event files in `folder`: what was trained on in `training/`, what is watched in a folder of its name.

    Opened anew, with the epochs so far, each time a training begins or goes on: event files are only ever added to,
    so what a killed process wrote last would stand there twice. A full disk costs the logs, not the training.
    """

    def __init__(self, folder: Path, epochs: Sequence[Epoch]) -> None:
        self._folder = folder
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        shutil.rmtree(folder, ignore_errors=True)
        for epoch in epochs:
            self.add(epoch)

    def add(self, epoch: Epoch) -> None:
        """Write the scalars of an epoch, grouped by its phase, at its number."""
        seen = {"loss": epoch.watched_loss, "top1": epoch.watched_top1}
        trained = {"loss": epoch.loss, "top1": epoch.top1, "learning_rate": epoch.learning_rate}
        try:
            for name, scalars in (("training", trained), (epoch.watched, seen)):
                self._write(name, {f"{epoch.phase}/{key}": value for key, value in scalars.items()}, epoch.epoch)
        except tf.errors.OpError as error:
            logger.warning("%s: the logs for TensorBoard cannot be written: %s", self._folder, error.message)

    def close(self) -> None:
        """Have all of it on disk."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _write(self, name: str, scalars: dict[str, float], step: int) -> None:
        if name not in self._writers:
            self._writers[name] = tf.summary.create_file_writer(str(self._folder / name))
        with self._writers[name].as_default(step=step):
            for tag, value in scalars.items():
                # What tf.summary.scalar does where TensorBoard is installed.
                tf.summary.write(tag, tf.constant(value, tf.float32), metadata=_scalar())
        self._writers[name].flush()


def _scalar() -> tf.compat.v1.SummaryMetadata:
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"
    metadata.data_class = 1  # DATA_CLASS_SCALAR of its proto
    return metadata
