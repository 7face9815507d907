import keras
import numpy as np
import pytest
from msgspec.structs import replace

from edgeproof.train import dataset, history, phases
from edgeproof.train.history import Epoch


@pytest.fixture(scope="module")
def data(colour_config):
    return dataset.load(colour_config.data, size=32, seed=0)


def weights_of(model, names):
    return {name: [array.copy() for array in model.get_layer(name).get_weights()] for name in names}


def changed(model, before):
    return [
        name
        for name, arrays in before.items()
        if any((a != b).any() for a, b in zip(arrays, model.get_layer(name).get_weights(), strict=True))
    ]


def with_weights(model):
    return [layer.name for layer in model.layers if layer.get_weights()]


@pytest.fixture(scope="module")
def trained(make_small_network, small_config, data):
    """A small model after each phase, with what each phase changed and the epochs that it reported."""
    keras.utils.set_random_seed(0)
    model = make_small_network(small_config.network, 4)
    phases_found = []
    for step in (phases.train_head, phases.finetune):
        before, epochs = weights_of(model, with_weights(model)), []
        step(model, data.train, data.test, small_config, epochs.append)
        phases_found.append((changed(model, before), epochs))
    return model, *phases_found


def test_the_first_phase_trains_the_head_and_nothing_of_the_base(trained):
    _, (moved, _), _ = trained
    assert moved == ["head", "probabilities"]


def test_the_second_phase_trains_the_base_behind_its_frozen_layers_but_no_frozen_batch_norm(trained):
    assert trained[2][0] == ["open", "head", "probabilities"]


@pytest.mark.parametrize(
    ("batch_norm", "frozen_layers", "moved"),
    [
        ("training", 3, ["open", "open_bn", "head", "probabilities"]),
        ("training", 0, ["frozen", "frozen_bn", "open", "open_bn", "head", "probabilities"]),
        ("frozen", 0, ["frozen", "open", "head", "probabilities"]),
        ("training", 5, ["head", "probabilities"]),
    ],
)
def test_the_settings_say_what_the_second_phase_trains(
    batch_norm, frozen_layers, moved, make_small_network, small_config, data
):
    finetune = replace(small_config.finetune, batch_norm=batch_norm, frozen_layers=frozen_layers, epochs=1)
    model = make_small_network(small_config.network, 4)
    before = weights_of(model, with_weights(model))
    phases.finetune(model, data.train, data.test, replace(small_config, finetune=finetune), lambda epoch: None)
    assert changed(model, before) == moved


def test_epochs_are_numbered_through_both_phases(trained):
    _, (_, head), (_, finetune) = trained
    assert [epoch.epoch for epoch in (*head, *finetune)] == [1, 2, 3, 4, 5]
    assert {epoch.phase for epoch in head} == {"head"}
    assert {epoch.phase for epoch in finetune} == {"finetune"}


def test_the_colours_are_learned_and_the_answers_differ(trained, data):
    model, _, (_, epochs) = trained
    answers = phases.predict(model, data.test, "Test").argmax(axis=1)
    assert set(answers.tolist()) == {0, 1, 2, 3}
    assert (answers == data.test.classes).mean() > 0.9
    assert epochs[-1].test_top1 == pytest.approx((answers == data.test.classes).mean())


def test_the_loss_on_the_test_set_is_that_of_the_whole_model(trained, data):
    """The first phase only sees features; what it reports must be what the whole model would."""
    model, _, (_, epochs) = trained
    outputs = phases.predict(model, data.test, "Test")
    loss = -np.log(outputs[np.arange(len(data.test)), data.test.classes]).mean()
    assert epochs[-1].test_loss == pytest.approx(loss, rel=1e-3)


def test_predictions_are_in_the_order_of_the_pictures(trained, data):
    model = trained[0]
    order = np.random.default_rng(0).permutation(len(data.test))
    whole = phases.predict(model, data.test, "Test")
    np.testing.assert_allclose(phases.predict(model, data.test.take(order), "Test"), whole[order], atol=1e-6)


def test_phases_of_no_epochs_do_nothing(trained, data, small_config):
    model = trained[0]
    none = replace(
        small_config, head=replace(small_config.head, epochs=0), finetune=replace(small_config.finetune, epochs=0)
    )
    before = weights_of(model, with_weights(model))
    epochs = []
    phases.train_head(model, data.train, data.test, none, epochs.append)
    phases.finetune(model, data.train, data.test, none, epochs.append)
    assert (changed(model, before), epochs) == ([], [])


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({}, "Adam"), ({"weight_decay": 0.01}, "AdamW"), ({"schedule": "cosine"}, "Adam")],
)
def test_the_settings_shape_the_optimiser(settings, kind, colour_config):
    finetune = replace(colour_config.finetune, learning_rate=0.5, **settings)
    optimizer = phases._optimizer(finetune, 100)
    assert type(optimizer).__name__ == kind
    if "schedule" in settings:
        rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 50, 100)]
        assert rates[0] == 0
        assert rates[1] == pytest.approx(0.5)
        assert rates[1] > rates[2] > rates[3]
        assert rates[3] == pytest.approx(0, abs=1e-3)
    else:
        assert float(optimizer.learning_rate.numpy()) == 0.5


def test_finished_epochs_are_counted_by_phase():
    epochs = [Epoch(1, "head", 0, 0, 0, 0), Epoch(2, "finetune", 0, 0, 0, 0), Epoch(3, "finetune", 0, 0, 0, 0)]
    assert phases.finished_epochs(epochs, "head") == 1
    assert phases.finished_epochs(epochs, "finetune") == 2
    assert phases.finished_epochs((), "head") == 0


def test_the_history_of_a_run_is_that_of_its_phases(colour_run):
    assert [epoch.phase for epoch in history.read(colour_run.history)] == ["head"] * 3 + ["finetune"]
