import keras
import numpy as np
import pytest

from edgeproof.runtime import ConfigError
from edgeproof.train import backbones, config, cutting, network
from edgeproof.train.config import Network
from edgeproof.train.frozen import Frozen

NAMES = [*backbones.TABLE]
LIGHT = {"size": 32, "weights": "none", "dense": 8}


@pytest.fixture(scope="module")
def built():
    """Networks on each backbone, with the settings that they were built by."""
    made = {}

    def build(name):
        if name not in made:
            settings = config.Config(network=Network(backbone=name, **LIGHT))
            made[name] = network.build(settings.network, 3), settings
        return made[name]

    return build


@pytest.mark.parametrize("name", NAMES)
def test_every_network_is_flat_and_has_the_names_that_a_training_looks_for(name, built):
    model, _ = built(name)
    names = [layer.name for layer in model.layers]
    assert not [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    assert names[:2] == [network.INPUT, "scaling"]
    assert names[-4:] == [network.FEATURES, "head", "dropout", "probabilities"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", NAMES)
def test_raw_pixels_are_scaled_as_keras_own_preprocessing_does_it(name, built):
    model, _ = built(name)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    found = np.asarray(keras.Model(model.inputs[0], model.get_layer("scaling").output)(pixels))
    if name == "mobilenetv2":
        expected = keras.applications.mobilenet_v2.preprocess_input(pixels.copy())
    else:
        row = backbones.TABLE[name]
        own = getattr(keras.applications, row.builder)(input_shape=(32, 32, 3), include_top=False, weights=None)
        first = next(layer for layer in own.layers if isinstance(layer, keras.layers.Conv2D))
        expected = np.asarray(keras.Model(own.inputs[0], first.input)(pixels))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_base_is_keras_own_network_without_its_scaling(name, built):
    model, settings = built(name)
    row = backbones.TABLE[name]
    own = backbones.built(row, settings.network)
    shapes = [weight.shape for weight in own.weights]
    assert [weight.shape for layer in network.base_layers(model) for weight in layer.weights] == shapes
    assert len(network.base_layers(model)) == len(own.layers)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mobilenetv2", "block_4_add"),
        ("mobilenetv3small", "expanded_conv_3_project_bn"),
        ("mobilenetv3large", "expanded_conv_4_add"),
        ("efficientnetv2b0", "block4c_add"),
    ],
)
def test_what_stays_frozen_ends_where_one_small_tensor_crosses(name, place, built):
    model, settings = built(name)
    network.freeze_as_set(model, settings)
    assert cutting.boundary(model) == place


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_litert_runs_the_frozen_part_of_each_as_keras_does(name, built):
    """Squeeze-and-excite, hard swish and dropped blocks included."""
    model, settings = built(name)
    network.freeze_as_set(model, settings)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    assert Frozen(cutting.part(model, cutting.boundary(model))).agrees(pixels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "resnet"}, r"no backbone 'resnet'\. Known are mobilenetv2, .*or give the path of a \.keras"),
        ({"backbone": "efficientnetv2b0", "alpha": 0.5}, r"alpha is 0\.5, but EfficientNetV2B0 comes in one width"),
        ({"backbone": "mine.keras", "alpha": 0.5}, r"alpha is 0\.5, but mine\.keras comes in one width"),
        ({"minimalistic": True}, r"minimalistic is for MobileNetV3, not for MobileNetV2\. Leave it out"),
        ({"input_range": (-1.0, 1.0)}, r"input_range is for a model file; MobileNetV2 has a scaling of its own"),
    ],
)
def test_settings_that_a_backbone_does_not_have_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        backbones.known(Network(**settings))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"alpha": 0.35}, "mobilenetv2_035_96"),
        ({"backbone": "MobileNetV3Small", "minimalistic": True}, "mobilenetv3small_minimalistic_100_96"),
        ({"backbone": "EfficientNetV2B0"}, "efficientnetv2b0_96"),
        ({"backbone": "a folder/my net.keras"}, "my_net_96"),
    ],
)
def test_a_network_is_named_after_its_backbone_width_and_size(settings, name):
    assert backbones.name(Network(**settings)) == name


# --- a model file ---------------------------------------------------------------------------------------------


def own_model(kind):
    """Somebody's model of 16 px, and the model of its last feature map."""
    inputs = keras.Input((16, 16, 3), name="features")
    hidden = keras.layers.Conv2D(4, 3, activation="relu", name="head")(inputs)
    squeezed = keras.layers.Reshape((1, 1, 4))(keras.layers.GlobalAveragePooling2D()(hidden))
    hidden = hidden * keras.layers.Conv2D(4, 1, activation="sigmoid")(squeezed)
    last = keras.layers.Conv2D(8, 3, name="last")(hidden)
    base = keras.Model(inputs, last)
    if kind == "backbone":
        return base, base
    if kind == "flattened":
        return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(last))), base
    if kind == "nested":
        pooled = keras.layers.GlobalAveragePooling2D()
        return keras.Sequential([keras.Input((16, 16, 3)), base, pooled, keras.layers.Dense(5)]), base
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(last))), base


@pytest.mark.parametrize("kind", ["backbone", "classifier", "flattened", "nested"])
def test_a_model_file_gives_its_last_feature_map_and_its_weights(kind, tmp_path):
    model, base = own_model(kind)
    model.save(tmp_path / "own.keras")
    built = network.build(Network(backbone=str(tmp_path / "own.keras"), size=32, dense=4, input_range=(-1.0, 1.0)), 3)
    assert not [layer for layer in built.layers if isinstance(layer, keras.Model)]
    assert [layer.name for layer in built.layers][-4:] == ["features", "head", "dropout", "probabilities"]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    found = keras.Model(built.inputs[0], network.base_layers(built)[-1].output)(pixels)
    other = keras.Input((32, 32, 3))
    expected = keras.Model(other, backbones.last_map(base, other))(pixels / 127.5 - 1)
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-6)
    small = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    same = keras.Input((16, 16, 3))
    again = keras.Model(same, backbones.last_map(model, same))(small)
    np.testing.assert_allclose(np.asarray(again), np.asarray(base(small)), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"own\.keras: no such file\. Give a \.keras or \.h5 model, or mobilenetv2"),
        (lambda path: path.write_bytes(b"words"), r"own\.keras cannot be loaded by Keras"),
        (
            lambda path: keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)]).save(path),
            r"own\.keras takes no pictures",
        ),
        (
            lambda path: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]).save(path),
            r"own\.keras does not fit here \(it has no feature map",
        ),
        (
            lambda path: keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Conv2D(2, 3)]).save(path),
            r"own\.keras does not fit here",
        ),
    ],
    ids=["missing", "damaged", "no pictures", "no map", "grey"],
)
def test_a_file_that_is_no_backbone_is_refused(make, message, tmp_path):
    make(tmp_path / "own.keras")
    with pytest.raises(ConfigError, match=message):
        network.build(Network(backbone=str(tmp_path / "own.keras"), size=32), 3)


# --- the whole way --------------------------------------------------------------------------------------------


def trained(backbone, folder):
    """A run on digits: a moment of training from random weights, or a file's, for answers that differ."""
    from edgeproof.train import training

    build = network.build

    def quickly_normalised(settings, classes):
        model = build(settings, classes)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.8  # statistics of a few steps, and not of the thousands that 0.999 takes
        return model

    settings = {
        **{"network.backbone": backbone, "network.weights": "none", "network.size": 32, "network.dense": 32},
        **{"head.epochs": 0, "finetune.epochs": 4, "finetune.batch": 32, "finetune.frozen_layers": 0},
        **{"finetune.learning_rate": 0.002, "augmentation.flip": "false", "recipe": "plain", "data.test_share": 0.5},
    }
    if backbone.endswith(".keras"):
        del settings["network.weights"]
    chosen = config.load(None, [f"{name}={value}" for name, value in settings.items()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.network, "build", quickly_normalised)
        return training.train(chosen, folder)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("mobilenetv3small", marks=pytest.mark.long),
        pytest.param("mobilenetv3large", marks=pytest.mark.long),
        pytest.param("efficientnetv2b0", marks=pytest.mark.long),
        pytest.param("file", marks=pytest.mark.long),
    ],
)
def test_a_network_on_each_is_trained_exported_in_float_and_integers_and_verified(name, tmp_path):
    from edgeproof.convert import calibration, conversion, inputs, recipes

    backbone = name
    if name == "file":
        classifier = network.build(Network(alpha=0.35, size=48, weights="bundled", dense=8), 7)
        classifier.save(tmp_path / "classifier.keras")
        backbone = str(tmp_path / "classifier.keras")
    run = trained(backbone, tmp_path / "run")
    given = inputs.from_run(run.folder)
    sample = calibration.choose(given.train, images=60, seed=0)
    about = conversion.About(name="digits")
    chosen = recipes.named(["float32", "int8", "int16x8"])
    verified = conversion.convert(
        given.reference, chosen, sample, given.evidence, out=tmp_path, max_drop=100.0, about=about
    )
    found = {result.recipe: result.verification for result in verified.results}
    for recipe, one in found.items():
        print(name, recipe, f"{one.reference_top1:.4f} -> {one.top1:.4f}, same answers {one.same_answers:.4f}")
    assert found["float32"].reference_top1 > 0.2  # twice as good as a guess: the answers are no noise
    assert found["float32"].same_answers > 0.999
    assert found["int16x8"].same_answers > 0.95
    # Its swish and its squeeze-and-excite want finer activations: of 16 bits they do.
    assert found["int8"].same_answers > (0.8 if name == "efficientnetv2b0" else 0.9)
