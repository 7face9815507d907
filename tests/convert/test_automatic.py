from dataclasses import replace

import msgspec
import pytest

from edgeproof.convert import automatic, calibration, inputs
from edgeproof.convert.conversion import About
from edgeproof.convert.inputs import Inputs
from edgeproof.convert.pareto import Search
from edgeproof.convert.recipes import Choice, Goal
from edgeproof.convert.reference import Reference
from edgeproof.convert.trials import HeldOut
from edgeproof.convert.verification import Evidence
from edgeproof.runtime import VerificationError, modelfile


@pytest.fixture(scope="module")
def given(mean_colour, tiny_pictures):
    """The model of the mean colour: half of the pictures train, the others test."""
    reference = Reference("mean_colour", mean_colour(), tiny_pictures.labels, {"keras_sha256": "0" * 64})
    train, test = tiny_pictures.take(range(0, 40, 2)), tiny_pictures.take(range(1, 40, 2))
    # Repeats with hashes of their own, so that enough are left to be held out; the last are also test pictures.
    many = train.take([number % 20 for number in range(60)])
    many = replace(many, hashes=(*(f"{number:064x}" for number in range(50)), *test.hashes[:10]))
    return Inputs(reference, many, Evidence(test, reference.outputs(test)))


@pytest.fixture
def convert(given, tmp_path):
    """Search for the best file of the model of the mean colour in a folder of the test's own."""

    def run(goal, **options):
        sample = calibration.choose(given.train, images=20, seed=0)
        return automatic.convert(given, sample, goal, out=tmp_path / "out", **options)

    return run


def test_of_a_healthy_network_plain_int8_is_returned_after_one_trial(colour_run, tmp_path):
    opened = inputs.from_run(colour_run.folder)
    sample = calibration.choose(opened.train, images=20, seed=0)
    about = About(name="colours")
    found, summary = automatic.convert(opened, sample, Goal(0.5), out=tmp_path, about=about, latency=lambda all: [2.5])
    assert [trial.name for trial in found.trials] == ["int8"]
    assert found.trials[0].latency_ms == 2.5
    assert [result.file for result in summary.results] == ["colours-int8.tflite"]
    contract = modelfile.read(tmp_path / "colours-int8.tflite").contract
    assert (contract.repairs, contract.left_in_float) == ((), ())
    assert msgspec.json.decode((tmp_path / "search.json").read_bytes(), type=Search) == found


def test_the_file_and_its_verification_lie_beside_the_search(convert, tmp_path):
    convert(Goal(0.5))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *("mean-colour-int8.tflite", "verification.json", "verification.md"),
        *("search.json", "search.md", "pareto.png"),
    }


def test_where_nothing_is_good_enough_no_accepted_file_is_left(convert, tmp_path):
    convert(Goal(0.5))
    found, summary = convert(Goal(-101.0, max_trials=2))
    assert summary is None
    assert [trial.accepted for trial in found.trials] == [False, False]
    assert not list((tmp_path / "out").glob("*.tflite"))
    assert (tmp_path / "out" / "search.md").is_file()
    with pytest.raises(VerificationError, match=r"No file loses at most -101 points; the nearest is 'int8.*Allow a"):
        automatic.gate(found)


def test_a_search_that_found_a_file_passes_the_gate(convert):
    automatic.gate(convert(Goal(0.5))[0])


def test_the_search_never_sees_the_test_pictures(given, convert, monkeypatch):
    seen = []
    held_out = automatic.trials.hold_out

    def watched(*arguments, **options):
        found = held_out(*arguments, **options)
        seen.extend(found.pictures.hashes)
        return found

    monkeypatch.setattr(automatic.trials, "hold_out", watched)
    convert(Goal(0.5))
    assert seen
    assert not set(seen) & set(given.evidence.test.hashes)


def test_operators_are_ranked_by_the_damage_that_int8_does_there(given):
    sample = calibration.choose(given.train, images=20, seed=0)
    workshop = automatic.conversion.bench(given.reference, sample)
    ranked = automatic.worst_first(workshop, HeldOut(given.train, given.reference.outputs(given.train)))
    graph = workshop.preparation(Choice(automatic.INT8)).graph
    assert len(set(ranked)) == len(ranked) > 1
    assert set(ranked) <= set(range(len(graph.operators)))
    spared = Choice(automatic.INT8, in_float=ranked[:1])
    assert workshop.flatbuffer(spared) != workshop.flatbuffer(Choice(automatic.INT8))
    assert len(workshop.spared(spared)) == 1
