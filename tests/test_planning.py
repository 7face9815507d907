"""`edgeproof train --dry-run` and `--memory-limit`: what they print, and what they leave alone."""

import json
from importlib.util import find_spec

import pytest

from edgeproof import cli, planning

pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the train extra (TensorFlow)")


@pytest.fixture
def dry_run(colour_folder, tmp_path, monkeypatch, capsys):
    """Run `edgeproof train --dry-run` with costs that were measured elsewhere; gives status, stdout and stderr."""
    from edgeproof.train import costs
    from edgeproof.train.plan import Costs, PhaseCosts

    phase = PhaseCosts(0.001, 0.01, 0.002, (1280,), 4, 700_000, 2_300_000)
    monkeypatch.setattr(costs, "measure", lambda config, survey: Costs(phase, phase, 0.1, 0.1, 10**9))

    def run(*arguments):
        out = tmp_path / "run"
        status = cli.run(["train", "--data", str(colour_folder), "--out", str(out), "--dry-run", *arguments])
        assert not out.exists()
        return status, *capsys.readouterr()

    return run


def test_the_plan_is_a_table_within_80_columns(dry_run):
    status, out, err = dry_run("--memory-limit", "2GB")
    assert (status, err) == (0, "")
    for words in (
        "training pictures",
        " 64 ",
        "4 (16 to 16 training",
        "1.0 GB of 2.0 GB allowed",
        "16 → 96",
        "estimates",
    ):
        assert words in out
    assert max(map(len, out.splitlines()[:-1])) <= 80


def test_a_limit_that_is_too_small_is_told(dry_run):
    assert "above the limit" in dry_run("--memory-limit", "500MB")[1]
    assert "above the limit" not in dry_run("--memory-limit", "5GB")[1]


def test_in_json_it_is_one_document(dry_run):
    document = json.loads(dry_run("--memory-limit", "1.5GiB", "--json")[1])
    assert document["schema"] == 1
    assert document["plan"]["memory_limit_bytes"] == 1_610_612_736
    assert [phase["name"] for phase in document["plan"]["phases"]] == ["head", "finetune"]


def test_a_limit_that_is_no_size_is_one_line(dry_run):
    status, out, err = dry_run("--memory-limit", "lots")
    assert (status, out) == (2, "")
    assert err.startswith("edgeproof: --memory-limit lots: no size.")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99, "99 s"), (130, "2 min"), (5900, "98 min"), (12_000, "3 h 20 min")]
)
def test_times_are_told_in_the_unit_that_fits(seconds, words):
    assert planning.duration(seconds) == words
