import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edgeproof.runtime import ConfigError, DataError
from edgeproof.runtime.atomic import replacing
from edgeproof.runtime.errors import Stopped
from edgeproof.train import checkpoints, config, history, training
from edgeproof.train.run import Run


def draw_a_dot(figure, path):
    with replacing(path) as temporary:
        Image.new("RGB", (1, 1)).save(temporary)


@pytest.fixture
def small(make_small_network, monkeypatch):
    """Let trainings build the small network, and draw dots: half of their time would go into the plots."""
    monkeypatch.setattr(training.network, "build", make_small_network)
    monkeypatch.setattr(training.plots, "_save", draw_a_dot)


@pytest.fixture(scope="module")
def whole(make_small_network, small_config, tmp_path_factory):
    """The run folder of the small network, trained without a break."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.network, "build", make_small_network)
        return training.train(small_config, tmp_path_factory.mktemp("runs") / "small")


def copied(run, folder):
    shutil.copytree(run.folder, folder)
    return Run(folder)


def outputs(run):
    return run.read_predictions(run.read_pictures())


def names(folder):
    """Of all files but TensorBoard's, which are named after the time and the machine."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "tfevents" not in path.name
    }


# --- a real training: MobileNetV2 on four colours -----------------------------------------------------------


def test_the_run_folder_holds_what_the_design_says(colour_run):
    plots = {f"plots/{name}.png" for name in ("learning_curves", "confusion_matrix", "samples")}
    tables = {"history.csv", "test.csv", "classes.csv", "confusion.csv"}
    others = {"config.toml", "model.keras", "labels.txt", "metrics.json", "data.json", "test.npz", "predictions.npz"}
    assert names(colour_run.folder) == plots | tables | others


def test_the_network_learned_and_gives_every_answer(colour_run):
    answers, pictures = outputs(colour_run).argmax(axis=1), colour_run.read_pictures()
    assert set(answers.tolist()) == {0, 1, 2, 3}
    assert (answers == pictures.classes).mean() > 0.9
    assert json.loads(colour_run.metrics.read_text())["top1"] == (answers == pictures.classes).mean()


def test_the_kept_outputs_are_those_of_the_kept_model(colour_run):
    model = keras.models.load_model(colour_run.model)
    pictures = colour_run.read_pictures()
    pixels = pictures.preprocessing.finished(pictures.stored).astype(np.float32)
    np.testing.assert_allclose(np.asarray(model([pixels], training=False)), outputs(colour_run), atol=1e-5)
    assert model.name == "mobilenetv2_035_32"


def test_settings_labels_and_counts_are_written(colour_run, colour_config):
    assert colour_run.read_config() == colour_config
    assert colour_run.read_labels() == ("blue", "green", "grey", "red")
    data = json.loads((colour_run.folder / "data.json").read_text())
    assert (data["training_pictures"], data["test_pictures"], data["classes"]) == (64, 32, 4)


def test_the_tables_agree_with_the_metrics(colour_run):
    metrics = json.loads(colour_run.metrics.read_text())
    with (colour_run.folder / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["blue", "green", "grey", "red"]
    assert [float(row["recall"]) for row in rows] == [each["recall"] for each in metrics["classes"]]
    epochs = history.read(colour_run.history)
    assert epochs[-1].watched_top1 == pytest.approx(metrics["top1"])


# --- a second run in the same folder ------------------------------------------------------------------------


def test_a_complete_run_of_the_same_settings_is_left_alone(whole, small_config, caplog):
    before = {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*")}
    with caplog.at_level(logging.INFO, "edgeproof"):
        assert training.train(small_config, whole.folder) == whole
    assert {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*")} == before
    assert "is complete already; --overwrite trains it again" in caplog.text


def test_a_run_of_other_settings_is_refused_and_left_alone(whole, small_config):
    before = {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*")}
    with pytest.raises(ConfigError, match=r"holds a run of other settings\. Give another --out, or --overwrite"):
        training.train(replace(small_config, seed=5), whole.folder)
    assert {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*")} == before


def test_overwrite_trains_again(whole, small, small_config, tmp_path, caplog):
    run = copied(whole, tmp_path / "run")
    other = replace(small_config, finetune=replace(small_config.finetune, epochs=0))
    with caplog.at_level(logging.INFO, "edgeproof"):
        training.train(other, run.folder, overwrite=True)
    assert "starting afresh" in caplog.text
    assert run.read_config() == other
    assert len(history.read(run.history)) == 3
    assert run.is_complete


def test_an_unknown_class_is_refused_before_anything_is_trained(small_config, tmp_path):
    with pytest.raises(ConfigError, match=r"--class gren: no such class\. Did you mean 'green'\?"):
        training.train(small_config, tmp_path / "run", sample_class="gren")
    assert not (tmp_path / "run" / "config.toml").exists()


def test_the_samples_of_a_complete_run_can_be_drawn_for_another_class(whole, small_config, tmp_path):
    run = copied(whole, tmp_path / "run")
    before = (run.plots / "samples.png").read_bytes()
    training.train(small_config, run.folder, sample_class="green")
    assert (run.plots / "samples.png").read_bytes() != before
    with pytest.raises(ConfigError, match="--class purple: no such class"):
        training.train(small_config, run.folder, sample_class="purple")


def test_a_place_that_cannot_be_written_is_refused_before_the_data_is_read(small_config, tmp_path):
    (tmp_path / "file").write_text("")
    elsewhere = replace(small_config, data=replace(small_config.data, source=str(tmp_path / "gone")))
    with pytest.raises(DataError, match=r"run is no folder that can be written"):
        training.train(elsewhere, tmp_path / "file" / "run")


# --- killed and resumed -------------------------------------------------------------------------------------

# Trains as the test does, and kills itself with no warning at the moment a checkpoint is to be moved into place.
CHILD = """
import os, runpy, signal, sys
from edgeproof.train import config, training
training.network.build = runpy.run_path(sys.argv[1])["small_network"]
move = os.replace
def killed_before(source, target):
    if os.path.basename(target) == "2-000000008.npz":
        os.kill(os.getpid(), signal.SIGKILL)
    move(source, target)
os.replace = killed_before
training.train(config.load(sys.argv[2]), sys.argv[3])
"""


def assert_whole(run):
    """Every file under a final name can be read to its end."""
    for path in run.folder.rglob("*"):
        if not path.is_file() or ".tmp" in path.name or path.parent.name == "cache" or "tfevents" in path.name:
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".toml":
            config.load(path)
        elif path.suffix == ".keras":
            keras.models.load_model(path)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                assert all(arrays[name] is not None for name in arrays.files)
        else:
            assert path.read_text().endswith("\n")


def test_a_killed_training_leaves_nothing_half_written_and_is_resumed_to_the_same_end(
    whole, small, small_config, tmp_path, caplog
):
    (tmp_path / "settings.toml").write_text(config.dump(small_config))
    conftest = str(Path(__file__).with_name("conftest.py"))
    command = [sys.executable, "-c", CHILD, conftest, str(tmp_path / "settings.toml"), str(tmp_path / "run")]
    child = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    assert child.returncode == -signal.SIGKILL, child.stderr
    run = Run(tmp_path / "run")
    assert not run.is_complete
    assert_whole(run)
    assert len(checkpoints.latest(run.checkpoints).history) == 4
    with caplog.at_level(logging.INFO, "edgeproof"):
        training.train(small_config, run.folder)
    assert "resuming after 4 finished epochs" in caplog.text
    assert run.is_complete
    assert not run.checkpoints.exists()
    assert [epoch.epoch for epoch in history.read(run.history)] == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(outputs(run), outputs(whole), atol=1e-5)
    assert not [name for name in names(run.folder) if ".tmp" in name]


# The command for one run folder after the other; it gets a signal while it does the fifth step, if so wished.
COMMAND = """
import os, runpy, signal, sys
settings, signalled, *folders = sys.argv[2:]
from edgeproof import cli, session
with session.tensorflow():
    from edgeproof.train import loop, training
training.network.build = runpy.run_path(sys.argv[1])["small_network"]
make, done = loop.Loop.__init__, [0]
def made(self, *arguments):
    make(self, *arguments)
    step = self._train
    def train(batch):
        step(batch)
        done[0] += 1
        if done[0] == 5 and signalled == "yes":
            os.kill(os.getpid(), signal.SIGTERM)
    self._train = train
loop.Loop.__init__ = made
for folder in folders:
    status = cli.run(["train", "--config", settings, "--out", folder, "--deterministic"])
    if status:
        raise SystemExit(status)
"""


def weights_of(run):
    return keras.models.load_model(run.model).get_weights()


@pytest.mark.long
def test_a_training_asked_to_stop_within_an_epoch_says_how_far_it_got_and_comes_to_the_same_bits(
    small_config, tmp_path
):
    settings = replace(
        small_config,
        data=replace(small_config.data, validation_share=0.25),
        finetune=replace(small_config.finetune, epochs=4, ema=0.9, mixup=0.5, cutmix=0.2, patience=3),
    )
    (tmp_path / "settings.toml").write_text(config.dump(settings))

    def command(signalled, *names):
        conftest, folders = Path(__file__).with_name("conftest.py"), [tmp_path / name for name in names]
        arguments = [sys.executable, "-c", COMMAND, conftest, tmp_path / "settings.toml", signalled, *folders]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        return subprocess.run(list(map(str, arguments)), capture_output=True, text=True, env=environment)

    child = command("yes", "run")
    assert child.returncode == 143, child.stderr
    ending = "all of it is saved, and the same command goes on from there"
    assert child.stderr.splitlines()[-1] == f"edgeproof: stopped at step 5 of 36 of phase head; {ending}"
    assert "Traceback" not in child.stderr
    run, whole = Run(tmp_path / "run"), Run(tmp_path / "whole")
    assert checkpoints.latest(run.checkpoints).step == 5
    # Not in this process: determinism cannot be switched off again, and without it the last bits differ.
    child = command("no", "run", "whole")
    assert child.returncode == 0, child.stderr
    assert "resuming after 0 finished epochs, step 5 of phase head" in child.stderr
    for one, other in zip(weights_of(run), weights_of(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    told = [(epoch.epoch, epoch.loss, epoch.watched_loss, epoch.watched_top1) for epoch in history.read(run.history)]
    assert told == [
        (epoch.epoch, epoch.loss, epoch.watched_loss, epoch.watched_top1) for epoch in history.read(whole.history)
    ]


def test_an_unfinished_run_is_begun_anew_when_it_is_not_to_be_resumed(small, small_config, tmp_path, caplog):
    settings = replace(small_config, finetune=replace(small_config.finetune, epochs=0))
    run = Run(tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "finish", lambda *arguments, **more: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Stopped, match="every finished epoch is saved, and the same command goes on"):
            training.train(settings, run.folder)
    with caplog.at_level(logging.INFO, "edgeproof"):
        training.train(settings, run.folder, resume=False)
    assert "starting afresh, the checkpoints of the unfinished run are removed" in caplog.text
    assert "resuming" not in caplog.text
    assert run.is_complete
    caplog.clear()
    with caplog.at_level(logging.INFO, "edgeproof"):
        training.train(settings, run.folder, resume=False)
    assert "is complete already; --overwrite trains it again" in caplog.text


@pytest.mark.parametrize("moment", ["config.toml", "model.keras", "metrics.json"])
def test_ctrl_c_at_any_moment_leaves_nothing_half_written_and_the_next_run_ends_complete(
    moment, whole, small, small_config, tmp_path, monkeypatch
):
    run, move = Run(tmp_path / "run"), os.replace

    def stopped_before(source, target):
        if Path(target).name == moment:
            raise KeyboardInterrupt
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopped_before)
        with pytest.raises(KeyboardInterrupt):
            training.train(small_config, run.folder)
    assert not run.is_complete
    assert not [name for name in names(run.folder) if ".tmp" in name]
    assert_whole(run)
    training.train(small_config, run.folder)
    assert names(run.folder) == names(whole.folder)
    np.testing.assert_allclose(outputs(run), outputs(whole), atol=1e-5)


def test_an_unfinished_run_of_other_settings_is_refused(whole, small_config, tmp_path):
    run = copied(whole, tmp_path / "run")
    run.metrics.unlink()
    with pytest.raises(ConfigError, match="holds a run of other settings"):
        training.train(replace(small_config, seed=5), run.folder)


def test_an_unfinished_run_does_not_go_on_with_other_pictures(small, small_config, colour_folder, tmp_path):
    """The settings name a folder; the pictures in it may have changed since."""
    shutil.copytree(colour_folder, tmp_path / "pictures")
    settings = replace(small_config, data=replace(small_config.data, source=str(tmp_path / "pictures")))
    settings = replace(settings, head=replace(settings.head, epochs=1), finetune=replace(settings.finetune, epochs=1))
    run, save = Run(tmp_path / "run"), checkpoints.save

    def stopped_after(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "save", stopped_after)
        with pytest.raises(KeyboardInterrupt):
            training.train(settings, run.folder)
    for part in ("train", "test"):
        shutil.rmtree(tmp_path / "pictures" / part / "grey")
    with pytest.raises(DataError, match=r"other pictures.*--overwrite"):
        training.train(settings, run.folder)
