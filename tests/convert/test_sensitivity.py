import numpy as np
import pytest

from edgeproof.convert import fidelity, quantiser
from edgeproof.convert.execution import Execution, as_input
from edgeproof.convert.sensitivity import Damage, HeldOut, alone, answers, damage, whole
from edgeproof.runtime.interpreter import Runner


@pytest.fixture(scope="module")
def graph(residual):
    return residual(uneven=1.5)


@pytest.fixture(scope="module")
def held_out(coloured):
    return HeldOut(coloured(40, 16, seed=5), np.arange(40) % 4)


@pytest.fixture(scope="module")
def simulation(graph, coloured, simulated):
    return simulated(graph, coloured(40, 16))


def test_equal_answers_are_undamaged():
    some = np.array([[0.7, 0.3], [0.2, 0.8]], np.float32)
    assert damage(some, some, np.array([0, 1])) == Damage(0.0, 0, 0, 2)


def test_divergence_is_that_of_kullback_and_leibler():
    found = damage(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]]), np.array([0]))
    assert found.divergence == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))


def test_a_probability_that_int8_cannot_tell_from_zero_costs_next_to_nothing():
    # 40 classes of which most have less than half of a step of 1/256.
    exact = np.full((1, 40), 0.0015)
    exact[0, 0] = 1 - 39 * 0.0015
    rounded = np.rint(exact * 256) / 256
    assert damage(exact, rounded, np.array([0])).divergence < 0.01


def test_changed_and_lost_answers_are_counted():
    exact = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]])
    found = np.array([[0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1]])
    result = damage(exact, found, np.array([0, 1, 1, 0]))
    assert (result.changed, result.lost, result.pictures) == (2, 0, 4)
    assert damage(exact[:1], found[:1], np.array([0])).lost == 1
    assert damage(exact[1:2], found[1:2], np.array([1])).lost == -1


def test_damages_add_up():
    assert Damage(1.0, 2, 1, 10) + Damage(3.0, 0, -1, 10) == Damage(4.0, 2, 0, 20)
    assert Damage(3.0, 0, 0, 10).mean == pytest.approx(0.3)


def test_the_rest_of_the_graph_gives_the_same_answers_from_an_unchanged_output(graph, held_out):
    run = Execution(graph, as_input(graph, held_out.pixels))
    expected = Runner(graph.packed()).probabilities(held_out.pixels)
    np.testing.assert_allclose(whole(graph, held_out.pixels), expected, atol=1e-6)
    for operator in range(len(graph.operators)):
        clean = run.advance(operator)
        np.testing.assert_allclose(answers(graph, operator, run, clean), expected, atol=1e-6)


def test_another_output_gives_other_answers_also_past_a_residual_branch(graph, held_out):
    run = Execution(graph, as_input(graph, held_out.pixels))
    expected = whole(graph, held_out.pixels)
    for operator in range(len(graph.operators)):
        clean = run.advance(operator)
        assert np.abs(answers(graph, operator, run, clean[::-1].copy()) - expected).max() > 1e-3


def test_the_first_layer_alone_does_what_it_does_in_a_file_that_quantises_it_alone(
    graph, held_out, coloured, ranges_of
):
    pytest.importorskip("litert_quantizer", reason="needs the train extra")
    from edgeproof.convert.simulation import Simulation

    others = range(1, len(graph.operators))
    target = quantiser.static(graph, ranges_of(graph, coloured(40, 16)), in_float=others)
    damages, _ = alone(Simulation(graph, target), held_out)
    exact, found = whole(graph, held_out.pixels), whole(target, held_out.pixels)
    expected = damage(exact, found, held_out.classes)
    assert damages[0].mean == pytest.approx(expected.mean, rel=0.1)
    assert expected.mean > 1e-5
    assert all(damages[operator] == Damage(0.0, 0, 0, 40) for operator in others)


def test_every_operator_is_measured_and_one_of_few_steps_is_the_worst(graph, held_out, coloured, ranges_of):
    pytest.importorskip("litert_quantizer", reason="needs the train extra")
    from edgeproof.convert.simulation import Simulation

    ranges = ranges_of(graph, coloured(40, 16))
    ranges[graph.given(3)] = (0.0, 300.0)  # of which 6 are used
    damages, own = alone(Simulation(graph, quantiser.static(graph, ranges)), held_out)
    assert set(damages) == set(own) == set(range(len(graph.operators)))
    assert max(damages, key=lambda operator: damages[operator].mean) == 3
    assert own[3].sqnr_db < 20 < own[0].sqnr_db


def test_running_fewer_pictures_at_once_gives_the_same(simulation, held_out, monkeypatch):
    expected, _ = alone(simulation, held_out)
    monkeypatch.setattr(fidelity, "MEMORY_BYTES", 17 * 8 * 8 * 24 * 24)
    found, _ = alone(simulation, held_out)
    for operator, caused in expected.items():
        assert found[operator].divergence == pytest.approx(caused.divergence, rel=1e-3, abs=1e-6)
        assert found[operator].pictures == caused.pictures == 40
