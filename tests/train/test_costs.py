import pytest
from msgspec.structs import replace

from edgeproof.train import costs, dataset, network, plan


@pytest.fixture(scope="module")
def survey(small_config):
    return dataset.survey(small_config.data, size=32, seed=0)


@pytest.fixture
def measured(small_config, survey, make_small_network, monkeypatch):
    """Time the small network with settings."""
    monkeypatch.setattr(network, "build", make_small_network)
    monkeypatch.setattr(costs, "STEPS", 1)
    return lambda config=small_config: costs.measure(config, survey)


def test_both_phases_are_timed_with_the_real_parts_of_the_model(measured, small_config, survey, make_small_network):
    found = measured()
    model = make_small_network(small_config.network, 4)
    for phase in (found.head, found.finetune):
        assert min(phase.picture_seconds, phase.step_seconds, phase.watched_seconds) > 0
        assert phase.trainable + phase.frozen == model.count_params()
    assert found.head.cached_shape == (16,)
    assert found.head.trainable == sum(model.get_layer(name).count_params() for name in ("head", "probabilities"))
    assert found.finetune.cached_shape == (8, 8, 8)
    assert found.finetune.trainable > found.head.trainable
    assert (found.reading_seconds, found.evaluation_seconds > 0) == (survey.seconds, True)
    assert found.base_bytes > 10**8
    assert plan.make(small_config, survey, found, 10**10).seconds > 0


def test_where_nothing_is_frozen_the_whole_network_is_timed(measured, small_config):
    found = measured(replace(small_config, finetune=replace(small_config.finetune, frozen_layers=0))).finetune
    assert (found.cached_shape, found.picture_seconds) == ((), 0)
    assert found.step_seconds > 0
