"""One training on several machines or GPUs, by `tf.distribute`: which strategy, whose part, and who writes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from edgeproof.runtime.errors import ConfigError, DataError, first_line
from edgeproof.train.batches import Shard
from edgeproof.train.run import Run
from edgeproof.train.stopping import Stop

logger = logging.getLogger(__name__)

VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, `host:port` each, and which of them this process is. The first is the chief."""

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.index == 0


def cluster(environment: Mapping[str, str]) -> Cluster | None:
    """The cluster that TF_CONFIG names, TensorFlow's own variable; None without one, or with a single worker.

    Raises `ConfigError` for what is not of its form, and for other tasks than chief and worker.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        tree = json.loads(text)
        hosts = {kind: [str(host) for host in tree["cluster"][kind]] for kind in tree["cluster"]}
        kind, index = tree["task"]["type"], int(tree["task"]["index"])
        known = not set(hosts) - {"chief", "worker"} and 0 <= index < len(hosts[kind])
    except (ValueError, TypeError, KeyError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"{VARIABLE} is not as TensorFlow defines it ({reason}). Expected {_EXAMPLE}.") from None
    if not known:
        raise ConfigError(
            f"{VARIABLE}: no task '{kind}' {index} among {', '.join(f'{len(hosts[each])} {each}' for each in hosts)}. "
            "Give chief and worker alone, and an index below their number."
        )
    chiefs = hosts.get("chief", [])
    workers = (*chiefs, *hosts.get("worker", []))
    return Cluster(workers, index + (len(chiefs) if kind == "worker" else 0)) if len(workers) > 1 else None


@cache
def strategy() -> Any:
    """The process's strategy: of several machines where TF_CONFIG names them, of several GPUs, or TensorFlow's default.

    To be called before TensorFlow computes anything. Raises `ConfigError`.
    """
    found = cluster(os.environ)
    if found is not None:
        logger.info("worker %d of %d: waiting for the others", found.index + 1, len(found.workers))
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def shard() -> Shard:
    """The replicas of this process among all of the training."""
    found, total = cluster(os.environ), strategy().num_replicas_in_sync
    here = total // len(found.workers) if found else total
    return Shard((found.index if found else 0) * here, here, total)


def is_chief() -> bool:
    """Whether this process writes the run folder: the only one, or the first of several."""
    found = cluster(os.environ)
    return found is None or found.is_chief


def built(build: Callable[[], Any]) -> Any:
    """A network whose variables every replica has, and whose batch norm sees the batch of all of them."""
    with strategy().scope():
        model = build()
    _synchronise(model, wanted=strategy().num_replicas_in_sync > 1)
    return model


def local(model: Any) -> Any:
    """A model that this process can run, convert and save on its own: itself, or a copy where there are replicas."""
    if strategy().num_replicas_in_sync == 1:
        return model
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    _synchronise(copy, wanted=False)
    return copy


@contextmanager
def precision(model: Any) -> Iterator[None]:
    """Let a model compute in half precision while the block runs, where there is a GPU; its weights stay float32."""
    layers = [layer for layer in model.layers if layer.name != "probabilities"]
    if not tf.config.list_physical_devices("GPU"):
        yield
        return
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = keras.DTypePolicy("mixed_float16")
    try:
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


def scaled(optimizer: Any) -> Any:
    """The optimiser with its loss scaled, where gradients are of half precision and would vanish."""
    return keras.optimizers.LossScaleOptimizer(optimizer) if tf.config.list_physical_devices("GPU") else optimizer


def together(batches: Iterable[Any]) -> Iterator[Any]:
    """Batches as `strategy.run` takes them: those of this process's replicas at once."""
    part = shard()
    if part.count == 1:
        yield from batches
        return
    waiting = iter(batches)
    while group := list(islice(waiting, part.count)):
        yield strategy().experimental_distribute_values_from_function(
            lambda context, group=group: group[context.replica_id_in_sync_group - part.first]
        )


def is_shared() -> bool:
    """Whether there are other processes in this training."""
    return cluster(os.environ) is not None


def anywhere(stop: Stop) -> bool:
    """Whether any process was asked to stop, which then is this one's request too; all must call this."""
    if is_shared() and total(bool(stop.requested)):
        stop.requested = stop.requested or signal.SIGTERM
    return bool(stop.requested)


def total(value: float) -> float:
    """The sum of a number over all processes, each of which must call this; the number itself where there is one."""
    if not is_shared():
        return value
    return float(_summed()(tf.constant(value, tf.float64))) / shard().count


@cache
def _summed() -> Any:
    """A function that adds up a scalar over all replicas; as a graph, since eager collectives are slow."""

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def add(value: Any) -> Any:
        return strategy().reduce(tf.distribute.ReduceOp.SUM, strategy().run(lambda: value), axis=None)

    return add


@contextmanager
def folder(run: Run) -> Iterator[Run]:
    """Where this process works: the run's folder for the chief, and for others a temporary one that is removed.

    It begins with the run's checkpoints, so that all go on from the same. All wait for one another, before and behind
    the block. Raises `DataError` for a run folder that is not the same for all, as on a disk that they share, and when
    another process is gone.
    """
    if not is_shared():
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="edgeproof-worker-") as place, _explained(run):
        own = run if is_chief() else Run(Path(place))
        total(0)  # what the chief removes to start afresh is removed by now
        if not is_chief() and run.checkpoints.is_dir():
            shutil.copytree(run.checkpoints, own.checkpoints)
        newest = _newest(own)
        if total(newest) != newest * strategy().num_replicas_in_sync // shard().count:
            raise DataError(f"{run.folder}: the workers see different checkpoints there. Put it on a disk of them all.")
        yield own
        total(0)


@contextmanager
def _explained(run: Run) -> Iterator[None]:
    """Say what to do when another process is gone: TensorFlow's collective operations fail then, or time out."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
        raise DataError(
            f"{run.folder}: another worker is gone ({first_line(error)[:120]}). Start all of them again; they go on "
            "from the last checkpoint."
        ) from None


def _newest(run: Run) -> int:
    """A number that says which checkpoint is the newest; 0 for none."""
    names = sorted(path.stem for path in run.checkpoints.glob("[0-9]*.json"))
    return int(names[-1].replace("-", "")) if names else 0


def _synchronise(model: Any, *, wanted: bool) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = wanted
