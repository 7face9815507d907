import numpy as np
import pytest

from edgeproof.convert import quantiser
from edgeproof.convert.fidelity import accumulated
from edgeproof.convert.remedies import tried
from edgeproof.convert.sensitivity import HeldOut, alone, whole
from edgeproof.convert.simulation import Simulation


@pytest.fixture(scope="module")
def held_out(coloured):
    return HeldOut(coloured(40, 16, seed=5), np.arange(40) % 4)


@pytest.fixture(scope="module")
def healthy(residual):
    return residual(uneven=0.3, activation="RELU")


@pytest.fixture(scope="module")
def experiment(coloured, held_out, ranges_of):
    """Mean divergences of an operator alone, and of its variants."""
    pytest.importorskip("litert_quantizer", reason="needs the train extra")

    def make(graph, operator, **changed):
        pixels = coloured(40, 16)
        ranges = {**ranges_of(graph, pixels), **{int(t.removeprefix("t")): r for t, r in changed.items()}}
        simulation = Simulation(graph, quantiser.static(graph, ranges))
        _, spans = accumulated(simulation, pixels)
        damages, _ = alone(simulation, held_out)
        found = tried(simulation, held_out, [operator], spans)
        assert set(found) == {operator}
        assert {each.pictures for each in found[operator].values()} == {40}
        return damages[operator].mean, {name: each.mean for name, each in found[operator].items()}

    return make


def test_equalisation_takes_away_what_uneven_channels_cost_before_and_behind(healthy, spoiled, experiment):
    graph = spoiled(healthy, 0, [100.0])
    damage, variants = experiment(graph, 0)
    assert variants["output"] > 0.5 * damage > 0.01
    assert variants["equalised output"] < 0.05 * variants["output"]
    damage, variants = experiment(graph, 1)
    assert variants["weights"] > 0.5 * damage > 0.01
    assert variants["equalised weights"] < 0.05 * variants["weights"]


def test_pooling_is_helped_by_equalising_what_it_pools(residual, spoiled, experiment):
    graph = residual(uneven=0.3, activation="RELU")
    mean = next(number for number in range(len(graph.operators)) if graph.kind(number) == "MEAN")
    damage, variants = experiment(spoiled(graph, mean - 1, [100.0]), mean)
    assert variants["equalised output"] < 0.05 * damage
    assert "weights" not in variants


def test_parts_of_a_layer_do_less_than_the_whole(healthy, experiment):
    damage, variants = experiment(healthy, 1)
    assert 0 < variants["weights"] < 2 * damage
    assert 0 < variants["output"] < 2 * damage


def test_a_range_that_is_too_narrow_is_told_by_one_that_is_not(healthy, experiment):
    tensor = healthy.given(1)
    damage, variants = experiment(healthy, 1, **{f"t{tensor}": (-0.2, 0.2)})
    assert damage > 0.05
    assert variants["unsaturated"] < 0.05 * damage
    assert "unsaturated" not in experiment(healthy, 1, **{f"t{tensor}": (-90.0, 90.0)})[1]


def answered(layers, features, pixels):
    """A graph with a dense layer on features that gives answers neither sure nor all the same."""
    seen, draw = whole(layers.graph(features), pixels), np.random.default_rng(1)
    rows = draw.normal(size=(4, seen.shape[1])) / (seen.std(axis=0) + 1e-3 * seen.std())
    return layers.graph(layers.softmax(layers.dense(features, rows, -rows @ seen.mean(axis=0))))


def test_offsets_that_waste_the_range_are_told_by_centring(new_layers, coloured, experiment):
    draw, layers = np.random.default_rng(0), new_layers(16)
    first = layers.conv(layers.pixels, draw.normal(size=(8, 1, 1, 3)) / 500, np.ones(8), activation="RELU")
    offsets, rows = np.where(np.arange(8) % 2, 50.0, -50.0), draw.normal(size=(8, 1, 1, 8))
    hidden = layers.conv(first, draw.normal(size=(8, 1, 1, 8)), offsets)
    hidden = layers.conv(hidden, rows, -rows.reshape(8, 8) @ offsets, activation="RELU")
    damage, variants = experiment(answered(layers, layers.mean(hidden), coloured(40, 16)), 1)
    assert variants["output"] > 0.5 * damage > 1e-4
    assert variants["centred"] < 0.1 * variants["output"]


def test_bias_correction_takes_away_a_shift_of_the_mean(new_layers, coloured, experiment):
    # Inputs that hardly vary turn each weight's error into an offset; weights that cancel keep the output small.
    draw, layers = np.random.default_rng(0), new_layers(16)
    first = layers.conv(layers.pixels, draw.normal(size=(8, 1, 1, 3)) / 500, np.full(8, 30.0), activation="RELU")
    rows = draw.normal(size=(8, 1, 1, 8))
    hidden = layers.conv(first, rows - rows.mean(axis=3, keepdims=True), np.zeros(8))
    damage, variants = experiment(answered(layers, layers.mean(hidden), coloured(40, 16)), 1)
    assert variants["weights"] > 0.5 * damage > 1e-4
    assert variants["bias corrected"] < 0.3 * damage
