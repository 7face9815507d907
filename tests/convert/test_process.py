import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgeproof.convert import process, twin
from edgeproof.convert.finetuning import Finetuning
from edgeproof.convert.process import Job
from edgeproof.runtime import ModelError, progress

SETTINGS = Finetuning(steps=30, batch=4)
# A stand-in for the toolkit: it is given the folder as its last argument.
RESULT = "import sys, pathlib; folder = pathlib.Path(sys.argv[1]); (folder / 'result').write_bytes(b'done')\n"


def child(script):
    return (sys.executable, "-c", script)


@pytest.fixture
def run(digits_model, digits):
    def start(script, **options):
        return process.run(
            digits_model,
            digits[0],
            description="Testing",
            command=child(script),
            task="prune",
            settings=SETTINGS,
            **options,
        )

    return start


def test_what_the_child_leaves_is_returned(run):
    assert run(RESULT) == b"done"


def test_the_child_is_given_the_twin_the_job_and_pictures(run, digits_model, digits, tmp_path):
    script = f"import shutil, sys; shutil.copytree(sys.argv[1], {str(tmp_path / 'copy')!r})\n" + RESULT
    run(script, calibration=np.full((5, 16, 16, 3), 7, np.uint8), sparsity=0.25)
    folder = tmp_path / "copy"
    job = msgspec.json.decode((folder / "job.json").read_bytes(), type=Job)
    assert (job.task, job.sparsity, job.settings, job.labels) == ("prune", 0.25, SETTINGS, digits[0].labels)
    assert len(twin.read(folder).layers) == len(twin.describe(digits_model).layers)
    pictures = process.read_pictures(folder, job)
    assert len(pictures) == 1024
    assert np.bincount(pictures.classes).min() > 90
    assert pictures.preprocessing == digits[0].preprocessing
    assert (np.load(folder / "calibration.npy") == 7).all()
    with np.load(folder / "probe.npz") as probe:
        assert probe["pixels"].shape == (8, 16, 16, 3)
        expected = digits_model.predict(probe["pixels"].astype(np.float32), verbose=0)
        np.testing.assert_allclose(probe["outputs"], expected, atol=1e-6)


def test_only_the_child_is_told_to_use_keras_2(run):
    script = "import os, sys, pathlib\n" + "(pathlib.Path(sys.argv[1]) / 'result').write_text(os.environ['{}'])"
    assert run(script.format("TF_USE_LEGACY_KERAS")) == b"1"
    assert "TF_USE_LEGACY_KERAS" not in os.environ


def test_progress_is_passed_on_and_noise_is_not(run, monkeypatch):
    seen = []

    def bar(description, total, *, note):
        from contextlib import contextmanager

        @contextmanager
        def shown():
            yield lambda steps: seen.append((steps, note()))

        assert (description, total) == ("Testing", 30)
        return shown()

    monkeypatch.setattr(progress, "bar", bar)
    script = 'print(\'noise\'); print(\'{"done":10,"note":"a"}\'); print(\'[1]\'); print(\'{"done":30,"note":"b"}\')\n'
    run(script + RESULT)
    assert seen == [(10, "a"), (20, "b")]


def test_the_reason_that_the_child_gives_is_the_error(run):
    script = 'print(\'{"error":"The layer is odd."}\'); raise SystemExit(1)'
    with pytest.raises(ModelError, match=r"^The layer is odd\.$"):
        run(script)


def test_a_child_that_fails_leaves_its_last_error(run):
    script = (
        "import sys; sys.stderr.write('words\\nValueError: a bad shape\\n  and its details\\n'); raise SystemExit(3)"
    )
    with pytest.raises(ModelError, match=r"The toolkit for training failed \(ValueError: a bad shape\)\.$"):
        run(script)


def test_a_child_that_fails_without_a_word_leaves_its_status(run):
    with pytest.raises(ModelError, match=r"failed \(it ended with status 3\)"):
        run("raise SystemExit(3)")


def test_a_toolkit_that_is_not_installed_is_named_with_the_extra(run):
    with pytest.raises(ModelError, match=r"No module named 'no_toolkit'\"?\)\. Install edgeproof\[qat\]"):
        run("import no_toolkit")


def test_a_child_that_cannot_be_started_is_told(digits_model, digits):
    with pytest.raises(ModelError, match=r"cannot be started \(No such file or directory\)"):
        process.run(
            digits_model,
            digits[0],
            description="Testing",
            command=("/no/such/program",),
            task="prune",
            settings=SETTINGS,
        )


def test_an_interruption_ends_the_child(run, monkeypatch, tmp_path):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_take", interrupted)
    mark = tmp_path / "child"
    script = (
        f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); print('x', flush=True); time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(script)
    assert time.monotonic() - started < 30
    assert not Path(f"/proc/{mark.read_text()}").exists()


def test_the_command_names_a_module_that_is_there():
    assert process.COMMAND[0] == sys.executable
    found = subprocess.run(
        [sys.executable, "-c", f"import importlib.util as u; assert u.find_spec({process.COMMAND[-1]!r})"]
    )
    assert found.returncode == 0
