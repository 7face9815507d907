import numpy as np
import pytest

from edgeproof.convert.execution import Execution, as_input, evaluate
from edgeproof.convert.simulation import in_int8, weights_in_int8

SCALE = 2.0 / 255


@pytest.fixture(scope="module")
def graph(residual):
    return residual()


@pytest.fixture(scope="module")
def pixels(coloured):
    return coloured(16, 16)


@pytest.fixture(scope="module")
def simulation(graph, pixels, simulated):
    return simulated(graph, pixels)


def test_every_operator_has_its_counterpart(simulation, graph):
    assert set(simulation.counterpart) == set(range(len(graph.operators)))
    for operator, other in simulation.counterpart.items():
        assert graph.kind(operator) == simulation.target.kind(other)


def test_a_layer_with_rounded_weights_gives_what_the_int8_kernel_gives_before_its_output_is_rounded(
    simulation, graph, pixels
):
    # The first layer takes bytes, so that nothing but its weights and its output is rounded.
    held = {graph.inputs[0]: as_input(graph, pixels)}
    target = simulation.target
    number = simulation.counterpart[0]
    raw = evaluate(target, range(number + 1), {target.inputs[0]: as_input(target, pixels)}, target.given(number))
    real = target.real(target.given(number), raw)
    simulated = simulation.rounded(0, simulation.weighted(0, held))
    step = float(target.affine(target.given(number)).scale[0])
    assert np.abs(simulated - real).max() <= step + 1e-5
    assert (np.abs(simulated - real) < step / 2).mean() > 0.99
    assert np.abs(simulation.exact(0, held) - simulated).max() > step / 4


def test_weights_can_be_tried_and_are_put_back(simulation, graph, pixels):
    held = {graph.inputs[0]: as_input(graph, pixels)}
    before = simulation.weighted(0, held)
    shape = graph.shape(int(graph.operators[0].inputs[1]))
    tried = simulation.with_weights(0, held, np.zeros(shape, np.float32))
    assert (np.ptp(tried, axis=(0, 1, 2)) == 0).all()
    np.testing.assert_array_equal(simulation.weighted(0, held), before)


def test_without_its_activation_a_layer_gives_negative_values_too(simulation, graph, pixels):
    held = {graph.inputs[0]: as_input(graph, pixels)}
    assert simulation.weighted(0, held, activated=False).min() < 0
    assert simulation.weighted(0, held).min() == 0


def test_what_only_moves_values_rounds_nothing(new_layers, coloured, simulated):
    layers = new_layers(4)
    flat = layers.reshape(layers.pixels, (1, 48))
    graph = layers.graph(layers.dense(flat, np.eye(4, 48), np.zeros(4)))
    simulation = simulated(graph, coloured(4, 4))
    assert simulation.limits(0) is None
    assert simulation.limits(1) is not None
    values = np.full((1, 48), 0.123, np.float32)
    assert simulation.rounded(0, values) is values


def test_an_operator_that_stays_float_rounds_nothing(graph, pixels, simulated):
    simulation = simulated(graph, pixels, in_float=[1])
    assert simulation.limits(1) is None
    assert not simulation.has_rounded_constants(1)
    assert simulation.has_rounded_constants(0)


def test_the_graph_itself_is_left_as_it_is(graph, pixels, simulated):
    before = graph.packed()
    simulated(graph, pixels)
    assert graph.packed() == before


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 0.0), (0.4 * SCALE, 0.0), (0.6 * SCALE, SCALE), (9.0, 127 * SCALE)]
)
def test_values_go_to_the_nearest_of_256_steps_and_not_beyond_the_last(value, expected):
    # 256 steps from -1 to 1: zero is step -0.5, and so is moved to a whole one.
    found = in_int8(np.array([value], np.float32), -1.0, 1.0)
    assert found[0] == pytest.approx(expected, abs=1e-6)


def test_there_are_256_steps_and_zero_is_one_of_them():
    found = np.unique(in_int8(np.linspace(-3, 9, 100_001, dtype=np.float32), -1.0, 5.0))
    assert len(found) == 256
    assert 0.0 in found


def test_weights_have_255_steps_round_zero_in_each_channel():
    weights = np.stack([np.linspace(-1, 1, 1001), np.linspace(-100, 50, 1001)])
    found = weights_in_int8(weights, axis=0)
    assert [len(np.unique(row)) for row in found] == [255, 128 + 63]
    np.testing.assert_allclose(found, weights, atol=100 / 254)
    np.testing.assert_allclose(found[0], weights[0], atol=1 / 254 + 1e-9)
    assert pytest.approx(found) == weights_in_int8(weights.T, axis=1).T


def test_the_run_is_the_same_with_a_copy_of_the_constants(simulation, graph, pixels):
    run = Execution(graph, as_input(graph, pixels))
    for operator in range(len(graph.operators)):
        expected = run.computed(operator)
        np.testing.assert_array_equal(simulation.exact(operator, run.held), expected)
        run.advance(operator, expected)
