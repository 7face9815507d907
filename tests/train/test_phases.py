import keras
import numpy as np
import pytest
from msgspec.structs import replace

from edgeproof.train import dataset, history, phases
from edgeproof.train.config import Augmentation
from edgeproof.train.keeping import Keeper
from edgeproof.train.phases import Material
from edgeproof.train.run import Run


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


@pytest.fixture
def work(data, tmp_path):
    """What a phase needs besides a network and settings: the pictures, and the keeper of a run folder."""
    return Material(data.train, data.test, "test", tmp_path / "cache"), Keeper(Run(tmp_path))


@pytest.fixture(scope="module")
def trained(make_small_network, small_config, data, tmp_path_factory):
    """A small model after each phase, with what each phase changed and the epochs that it reported."""
    keras.utils.set_random_seed(0)
    model = make_small_network(small_config.network, 4)
    folder = tmp_path_factory.mktemp("trained")
    material, keeper = Material(data.train, data.test, "test", folder / "cache"), Keeper(Run(folder))
    phases_found = []
    for step in (phases.train_head, phases.finetune):
        before, known = weights_of(model, with_weights(model)), len(keeper.epochs)
        step(model, material, small_config, keeper)
        phases_found.append((changed(model, before), keeper.epochs[known:]))
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
    batch_norm, frozen_layers, moved, make_small_network, small_config, work
):
    finetune = replace(small_config.finetune, batch_norm=batch_norm, frozen_layers=frozen_layers, epochs=1)
    model = make_small_network(small_config.network, 4)
    before = weights_of(model, with_weights(model))
    phases.finetune(model, work[0], replace(small_config, finetune=finetune), work[1])
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
    assert epochs[-1].watched_top1 == pytest.approx((answers == data.test.classes).mean())


def test_the_loss_on_the_test_set_is_that_of_the_whole_model(trained, data):
    """The first phase only sees features; what it reports must be what the whole model would."""
    model, _, (_, epochs) = trained
    outputs = phases.predict(model, data.test, "Test")
    loss = -np.log(outputs[np.arange(len(data.test)), data.test.classes]).mean()
    assert epochs[-1].watched_loss == pytest.approx(loss, rel=1e-3)


def test_predictions_are_in_the_order_of_the_pictures(trained, data):
    model = trained[0]
    order = np.random.default_rng(0).permutation(len(data.test))
    whole = phases.predict(model, data.test, "Test")
    np.testing.assert_allclose(phases.predict(model, data.test.take(order), "Test"), whole[order], atol=1e-6)


def test_phases_of_no_epochs_do_nothing(trained, work, small_config):
    model = trained[0]
    none = replace(
        small_config, head=replace(small_config.head, epochs=0), finetune=replace(small_config.finetune, epochs=0)
    )
    before = weights_of(model, with_weights(model))
    phases.train_head(model, work[0], none, work[1])
    phases.finetune(model, work[0], none, work[1])
    assert (changed(model, before), work[1].epochs) == ([], [])


def finetuned(make, config, work):
    """The weights after phase 2 from one starting point, and the epochs."""
    keras.utils.set_random_seed(0)
    model = make(config.network, 4)
    phases.finetune(model, *work[:1], config, work[1])
    return [np.asarray(each) for each in model.get_weights()], work[1].epochs


def test_training_behind_the_cached_part_is_training_the_whole(
    make_small_network, small_config, work, data, tmp_path, monkeypatch
):
    """But for the half precision of what is cached."""
    config = replace(
        small_config,
        network=replace(small_config.network, dropout=0.0),
        augmentation=replace(small_config.augmentation, shift=1),
        finetune=replace(small_config.finetune, learning_rate=1e-3, mixup=0.0, ema=0.5, epochs=2),
    )
    cached, epochs = finetuned(make_small_network, config, work)
    monkeypatch.setattr(phases.views, "room_for", lambda *arguments: False)
    other = Material(data.train, data.test, "test", tmp_path / "other"), Keeper(Run(tmp_path / "other"))
    whole, other_epochs = finetuned(make_small_network, config, other)
    for one, two in zip(cached, whole, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-3)
    assert [e.watched_top1 for e in epochs] == pytest.approx([e.watched_top1 for e in other_epochs], abs=0.04)
    untrained = make_small_network(config.network, 4).get_weights()
    assert max(np.abs(one - two).max() for one, two in zip(cached, untrained, strict=True)) > 0.02


def test_both_phases_check_litert_against_keras(make_small_network, small_config, work, monkeypatch):
    asked = []
    monkeypatch.setattr(phases.Frozen, "agrees", lambda self, pixels: asked.append(pixels.shape) or True)
    model = make_small_network(small_config.network, 4)
    phases.train_head(model, work[0], small_config, work[1])
    phases.finetune(model, work[0], small_config, work[1])
    size = small_config.network.size
    assert asked == [(8, size, size, 3)] * 2


def test_what_is_cached_is_gone_in_the_end(trained, make_small_network, small_config, work):
    phases.train_head(make_small_network(small_config.network, 4), work[0], small_config, work[1])
    assert not list(work[0].cache.iterdir())


@pytest.fixture
def made(monkeypatch):
    """Which views are run through a frozen part, in order."""
    found = []
    monkeypatch.setattr(
        phases.views.CachedViews,
        "_made",
        lambda self, view, make=phases.views.CachedViews._made: (found.append((self._name, view)), make(self, view))[1],
    )
    return found


def test_the_head_learns_from_as_many_views_as_are_asked_for(make_small_network, small_config, work, made):
    config = replace(small_config, head=replace(small_config.head, epochs=4, views=2))
    phases.train_head(make_small_network(config.network, 4), work[0], config, work[1])
    assert made == [("Features", 0), ("Features, watched", 0), ("Features", 1)]


def test_pictures_that_nothing_changes_are_run_through_a_frozen_part_once(make_small_network, small_config, work, made):
    as_they_are = Augmentation(flip=False)
    longer = replace(small_config.finetune, epochs=2)
    config = replace(
        small_config, augmentation=as_they_are, head=replace(small_config.head, epochs=4, views=2), finetune=longer
    )
    model = make_small_network(config.network, 4)
    phases.train_head(model, work[0], config, work[1])
    phases.finetune(model, work[0], config, work[1])
    assert made == [("Features", 0), ("Features, watched", 0), ("Activations", 0), ("Activations, watched", 0)]


def test_averaged_weights_are_what_is_judged_and_kept(make_small_network, small_config, work, data):
    config = replace(small_config, finetune=replace(small_config.finetune, ema=0.9, epochs=2))
    keras.utils.set_random_seed(0)
    model = make_small_network(config.network, 4)
    phases.train_head(model, work[0], config, work[1])
    phases.finetune(model, work[0], config, work[1])
    answers = phases.predict(model, data.test, "Test").argmax(axis=1)
    assert work[1].epochs[-1].watched_top1 == pytest.approx((answers == data.test.classes).mean())


def test_patience_ends_the_phase_and_keeps_the_best_epoch(make_small_network, small_config, work, data):
    """With a learning rate that ruins the network the first epochs are the best."""
    finetune = replace(small_config.finetune, learning_rate=3.0, epochs=9, patience=2)
    config = replace(small_config, finetune=finetune)
    keras.utils.set_random_seed(0)
    model = make_small_network(config.network, 4)
    phases.train_head(model, work[0], config, work[1])
    phases.finetune(model, work[0], config, work[1])
    epochs = [epoch for epoch in work[1].epochs if epoch.phase == "finetune"]
    best = max(epochs, key=lambda epoch: epoch.watched_top1)
    assert len(epochs) < 9
    assert epochs[-1].epoch - best.epoch == 2
    answers = phases.predict(model, data.test, "Test").argmax(axis=1)
    assert (answers == data.test.classes).mean() == pytest.approx(best.watched_top1)


def test_the_history_of_a_run_is_that_of_its_phases(colour_run):
    assert [epoch.phase for epoch in history.read(colour_run.history)] == ["head"] * 3 + ["finetune"]
