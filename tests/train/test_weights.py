import keras
import numpy as np
import pytest

from edgeproof import models
from edgeproof.runtime import ConfigError, ModelError
from edgeproof.train import weights
from edgeproof.train.backbones import TABLE
from edgeproof.train.config import Network

MOBILENETV2 = TABLE["mobilenetv2"]


def settings(**changes):
    return Network(**{"alpha": 0.35, "size": 32, **changes})


@pytest.fixture(scope="module")
def base():
    return keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)


@pytest.fixture(scope="module")
def wider():
    return keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.5, include_top=False, weights=None)


def fill(model, value):
    model.set_weights([np.full(array.shape, value, np.float32) for array in model.get_weights()])


def test_half_precision_comes_back_to_within_its_rounding(base, tmp_path):
    generator = np.random.default_rng(0)
    given = [generator.uniform(0.1, 2, array.shape).astype(np.float32) for array in base.get_weights()]
    base.set_weights(given)
    weights.save_half(base, tmp_path / "half.npz")
    fill(base, 0)
    weights.load(base, settings(weights=str(tmp_path / "half.npz")))
    for one, other in zip(given, base.get_weights(), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(other, one, rtol=2**-11)


def test_half_precision_is_about_half_the_size(base, tmp_path):
    weights.save_half(base, tmp_path / "half.npz")
    assert (tmp_path / "half.npz").stat().st_size < 0.55 * sum(array.nbytes for array in base.get_weights())


def test_weights_that_half_precision_cannot_hold_are_not_written_as_infinity(base, tmp_path):
    fill(base, 1e6)
    with pytest.raises(ModelError, match="too large for half precision"):
        weights.save_half(base, tmp_path / "half.npz")
    assert not (tmp_path / "half.npz").exists()


def test_weights_of_another_alpha_are_refused(base, wider, tmp_path):
    weights.save_half(wider, tmp_path / "half.npz")
    with pytest.raises(ConfigError, match=r"half\.npz: weights that do not fit the network"):
        weights.load(base, settings(weights=str(tmp_path / "half.npz")))
    wider.save_weights(tmp_path / "wide.weights.h5")
    with pytest.raises(ConfigError, match=r"wide\.weights\.h5 does not fit a MobileNetV2 of alpha 0\.35"):
        weights.load(base, settings(weights=str(tmp_path / "wide.weights.h5")))


def test_a_file_of_keras_weights_is_taken(base, tmp_path):
    fill(base, 0.25)
    base.save_weights(tmp_path / "own.weights.h5")
    fill(base, 0)
    weights.load(base, settings(weights=str(tmp_path / "own.weights.h5")))
    assert all((array == 0.25).all() for array in base.get_weights())


def test_a_file_that_is_not_there_is_refused(base, tmp_path):
    with pytest.raises(ConfigError, match=r"network\.weights=.*gone\.h5: no such file\. Give imagenet, bundled, none"):
        weights.load(base, settings(weights=str(tmp_path / "gone.h5")))


@pytest.mark.parametrize("name", ["words.h5", "words.weights.h5", "words.npz", "words.txt"])
@pytest.mark.parametrize("content", [b"", b"words"], ids=["empty", "text"])
def test_a_file_that_holds_no_weights_is_refused(name, content, base, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=r"words\..* (that )?do(es)? not fit"):
        weights.load(base, settings(weights=str(tmp_path / name)))


def test_none_leaves_the_network_as_it_is(base):
    fill(base, 0.5)
    weights.load(base, settings(weights="none"), MOBILENETV2)
    assert all((array == 0.5).all() for array in base.get_weights())


def test_the_bundled_weights_are_for_alpha_035_alone(wider):
    with pytest.raises(ConfigError, match=r"weights=bundled has alpha 0\.35, not 0\.5\. Set network\.alpha=0\.35"):
        weights.load(wider, settings(weights="bundled", alpha=0.5))


def test_the_bundled_weights_are_those_that_ship(base, tmp_path, monkeypatch):
    fill(base, 0.75)
    weights.save_half(base, tmp_path / models.BACKBONE)
    monkeypatch.setattr(models, "path", lambda name: tmp_path / name)
    fill(base, 0)
    weights.load(base, settings(weights="bundled"))
    assert all((array == 0.75).all() for array in base.get_weights())


@pytest.mark.parametrize(
    ("backbone", "title", "last_way"),
    [
        ("mobilenetv2", "MobileNetV2 of alpha 0.35", "take the bundled ones with --set network.weights=bundled"),
        ("mobilenetv3small", "MobileNetV3Small of alpha 0.35", "take mobilenetv2 with --set network.weights=bundled"),
        ("mobilenetv3large", "MobileNetV3Large of alpha 0.35", "take mobilenetv2 with --set network.weights=bundled"),
        ("efficientnetv2b0", "EfficientNetV2B0", "take mobilenetv2 with --set network.weights=bundled"),
    ],
)
def test_where_imagenet_cannot_be_had_three_ways_out_are_named(backbone, title, last_way, base, monkeypatch):
    def fail(**options):
        raise Exception("URL fetch failure on https://example.org: None -- no route\nand more")

    monkeypatch.setattr(keras.applications, TABLE[backbone].builder, fail)
    with pytest.raises(ConfigError) as caught:
        weights.load(base, settings(weights="imagenet", backbone=backbone), TABLE[backbone])
    message = str(caught.value)
    assert f"could not get them for {title} (URL fetch failure on https://example.org: None -- no route)." in message
    for way in ("connect to the network once", "network.weights=FILE.h5", last_way):
        assert way in message
    assert "\n" not in message


def test_what_keras_has_for_imagenet_is_taken(base, monkeypatch):
    asked = {}
    source = keras.models.clone_model(base)
    fill(source, 0.125)

    def stored(**options):
        asked.update(options)
        return source

    monkeypatch.setattr(keras.applications, "MobileNetV2", stored)
    fill(base, 0)
    weights.load(base, settings(weights="imagenet"), MOBILENETV2)
    assert asked == {"input_shape": (32, 32, 3), "alpha": 0.35, "include_top": False, "weights": "imagenet"}
    assert all((array == 0.125).all() for array in base.get_weights())


def test_the_bundled_weights_are_for_mobilenetv2_alone(base):
    with pytest.raises(ConfigError, match=r"bundled is for mobilenetv2, not EfficientNetV2B0\. Three ways out"):
        weights.load(base, settings(weights="bundled", backbone="efficientnetv2b0"), TABLE["efficientnetv2b0"])


def test_a_model_file_keeps_its_own_weights_unless_others_are_named(base, tmp_path):
    fill(base, 0.5)
    weights.load(base, settings(backbone="mine.keras"))
    assert all((array == 0.5).all() for array in base.get_weights())
    weights.save_half(base, tmp_path / "half.npz")
    fill(base, 0)
    weights.load(base, settings(backbone="mine.keras", weights=str(tmp_path / "half.npz")))
    assert all((array == 0.5).all() for array in base.get_weights())
    with pytest.raises(ConfigError, match=r"network\.weights=none, but mine\.keras brings weights\. Leave it out"):
        weights.load(base, settings(backbone="mine.keras", weights="none"))
