"""Two workers on the loopback address beside one: the same loss, and the same end after a worker was killed.

    make two-workers

Digits, 32 pixels, the last blocks of MobileNetV2 0.35 with the bundled weights, no dropout (whose masks differ from
worker to worker), batch norm in inference mode: in training mode rounding grows from step to step. Prints what
docs/results.md holds under "Several workers".
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

BATCH, STEPS, EPOCHS = 28, 51, 2  # 1,437 training pictures: the last step of an epoch has 9 more than 50 whole ones
LOSS_LIMIT, WEIGHTS_LIMIT = 1e-3, 1e-4
# Small enough for two processes on two cores: what is before the last blocks is frozen.
SETTINGS = [
    *("recipe=plain", "data.source=digits", "network.weights=bundled", "network.alpha=0.35", "network.size=32"),
    *("network.dense=32", "network.dropout=0", "head.epochs=0", "finetune.frozen_layers=134"),
    "finetune.batch_norm=frozen",
    *(f"finetune.epochs={EPOCHS}", f"finetune.batch={BATCH}", "augmentation.flip=false"),
]


def main() -> int:
    """Run all three trainings, print the figures, and return 1 where one is beyond its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=2, metavar=("OUT", "LOSSES"))
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    if given.child:
        child(*map(Path, given.child))
        return 0
    with TemporaryDirectory() as scratch:
        return compared(Path(scratch))


def child(out: Path, losses: Path) -> None:
    """Train into `out`, and write down the loss of the whole step after each one of phase 2."""
    from edgeproof.train import config, distribution, loop, training

    epoch = loop.Loop._epoch

    def noted(self, *arguments):
        train, before = self._train, [0.0, 0.0]

        def step(batch):
            train(batch)
            total, count = (float(np.asarray(each)) for each in self.model.metrics_variables[:2])
            if count < before[1]:
                before[:] = [0.0, 0.0]
            if distribution.is_chief():
                with losses.open("a") as file:
                    print(self.phase, self.step, (total - before[0]) / (count - before[1]), file=file)
            before[:] = [total, count]

        self._train = step
        try:
            epoch(self, *arguments)
        finally:
            self._train = train

    loop.Loop._epoch = noted
    training.train(config.load(None, SETTINGS), out)


def compared(scratch: Path) -> int:
    """The three trainings, one after the other."""
    seconds = {"one": timed(lambda: wait(start(scratch, "one", workers=1)))}
    seconds["two"] = timed(lambda: wait(start(scratch, "two", workers=2)))
    killed = start(scratch, "killed", workers=2)
    seconds["killed"] = timed(lambda: kill_one(killed, scratch / "killed.losses"))
    seconds["resumed"] = timed(lambda: wait(start(scratch, "killed", workers=2)))
    one, two, resumed = (losses(scratch / f"{name}.losses") for name in ("one", "two", "killed"))
    first = sorted(step for phase, step in one if phase == "finetune")[:50]
    apart = [abs(one["finetune", step] - two["finetune", step]) for step in first]
    print(f"steps compared: {len(apart)}; loss from {one['finetune', 1]:.4f} to {one['finetune', first[-1]]:.4f}")
    print(f"largest difference of a step's loss, one worker and two: {max(apart):.2e}")
    print(f"weights, one worker and two: {weights_apart(scratch, 'one', 'two'):.2e}")
    after = weights_apart(scratch, "two", "killed")
    print(f"weights, two workers undisturbed and killed and resumed: {after:.2e}")
    last = max(step for phase, step in resumed if phase == "finetune")
    print(f"a worker was killed in phase 2; last step {last}; seconds:", {k: round(v, 1) for k, v in seconds.items()})
    return int(max(apart) > LOSS_LIMIT or after > WEIGHTS_LIMIT)


def start(scratch: Path, name: str, *, workers: int) -> list[subprocess.Popen[bytes]]:
    """The processes of a training, each with its TF_CONFIG."""
    hosts = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    processes = []
    for index in range(workers):
        tree = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        environment |= {"TF_CONFIG": json.dumps(tree)} if workers > 1 else {}
        command = [sys.executable, __file__, "--child", str(scratch / name), str(scratch / f"{name}.losses")]
        with (scratch / f"{name}-{index}.log").open("ab") as log:
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    return processes


def wait(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait for all of them, and stop where one failed."""
    statuses = [process.wait(timeout=600) for process in processes]
    if any(statuses):
        raise SystemExit(f"a worker failed: {statuses}")


def kill_one(processes: list[subprocess.Popen[bytes]], noted: Path) -> None:
    """Kill the second worker with SIGKILL in the second epoch of phase 2, and then the first, if it still waits."""
    while f"finetune {STEPS + 5} " not in (noted.read_text() if noted.exists() else ""):
        time.sleep(0.2)
    processes[1].send_signal(signal.SIGKILL)
    begin = time.monotonic()
    try:
        status = processes[0].wait(timeout=60)
        print(f"the other worker ended by itself after {time.monotonic() - begin:.1f} s with status {status}")
    except subprocess.TimeoutExpired:
        processes[0].kill()
        print("the other worker still waited after 60 s, and was killed too")
    processes[1].wait()


def losses(path: Path) -> dict[tuple[str, int], float]:
    """The loss by phase and step."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return {(phase, int(step)): float(loss) for phase, step, loss in rows}


def weights_apart(scratch: Path, name: str, other: str) -> float:
    """The largest difference between two final models' weights."""
    import keras

    pair = [keras.models.load_model(scratch / each / "model.keras").get_weights() for each in (name, other)]
    return max(float(np.abs(a - b).max()) for a, b in zip(*pair, strict=True))


def timed(call) -> float:
    """Seconds that a call takes."""
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


if __name__ == "__main__":
    sys.exit(main())
