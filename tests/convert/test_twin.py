import keras
import numpy as np
import pytest

from edgeproof.convert import twin
from edgeproof.convert.twin import Layer, Twin
from edgeproof.runtime import ModelError

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)


def outputs(model, pixels=PIXELS):
    return model.predict(pixels.astype(np.float32), verbose=0)


@pytest.mark.parametrize("form", ["functional", "nested", "sequential"])
def test_a_twin_answers_like_its_model(form, mean_colour):
    model = mean_colour(form=form)
    described = twin.describe(model)
    assert twin.check(twin.build(described, keras), PIXELS, outputs(model)) <= 1e-6
    assert {layer.kind for layer in described.layers} >= {"InputLayer", "Conv2D", "ReLU", "Dense", "Softmax"}


def test_a_model_with_all_kinds_of_layers_answers_like_its_twin():
    keras.utils.set_random_seed(3)
    picture = keras.Input((8, 8, 3))
    hidden = layers.Normalization(mean=[100.0, 110, 120], variance=[50.0, 60, 70])(picture / 2.0)
    hidden = layers.SeparableConv2D(6, 3, padding="same", activation="silu", depth_multiplier=2)(hidden)
    hidden = layers.BatchNormalization(scale=False)(hidden)
    side = layers.Cropping2D(2)(hidden)
    hidden = layers.MaxPooling2D(2)(layers.LeakyReLU()(hidden))
    hidden = layers.Multiply()([hidden, layers.Activation("sigmoid")(side)])
    hidden = layers.Concatenate()([hidden, layers.Activation("tanh")(side)])
    hidden = layers.Dropout(0.5)(layers.AveragePooling2D(2, padding="same")(hidden))
    hidden = layers.BatchNormalization(momentum=0.0)(layers.Permute((3, 1, 2))(hidden))
    hidden = layers.Dense(4)(layers.Reshape((-1,))(layers.Flatten()(hidden)))
    model = keras.Model(picture, layers.Softmax()(hidden))
    model(PIXELS.astype(np.float32), training=True)  # takes over the statistics
    described = twin.describe(model)
    assert twin.check(twin.build(described, keras), PIXELS, outputs(model)) <= 1e-6
    assert outputs(model).std() > 0.01


def test_models_inside_models_are_taken_apart_and_namesakes_told_apart():
    def inner(name):
        picture = keras.Input((8, 8, 3))
        return keras.Model(picture, layers.Conv2D(3, 3, padding="same", name="conv")(picture), name=name)

    picture = keras.Input((8, 8, 3))
    sequence = keras.Sequential([keras.Input((8, 8, 3)), inner("deep"), layers.Flatten()], name="sequence")
    model = keras.Model(picture, layers.Softmax()(sequence(inner("left")(picture))))
    described = twin.describe(model)
    assert twin.check(twin.build(described, keras), PIXELS, outputs(model)) <= 1e-6
    convolutions = [layer for layer in described.layers if layer.kind == "Conv2D"]
    assert [layer.name for layer in convolutions] == ["conv", "conv_2"]
    assert [layer.origins[0] for layer in convolutions] == [("left/conv", 0), ("sequence/deep/conv", 0)]


def test_a_layer_that_is_used_twice_stands_there_twice():
    picture, shared = keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same", name="shared")
    model = keras.Model(picture, layers.Softmax()(layers.Flatten()(shared(shared(picture)))))
    described = twin.describe(model)
    assert twin.check(twin.build(described, keras), PIXELS, outputs(model)) <= 1e-6
    assert [layer.origins[0] for layer in described.layers if layer.kind == "Conv2D"] == [("shared", 0)] * 2


def test_names_are_such_as_tensorflow_takes():
    picture = keras.Input((8, 8, 3))
    hidden = layers.Conv2D(3, 3, name="erste Schicht: 3×3")(picture)
    hidden = layers.Conv2D(3, 3, name="_private")(hidden)
    model = keras.Model(picture, layers.Softmax()(layers.Flatten(name="pixels")(hidden)))
    assert [layer.name for layer in twin.describe(model).layers[:4]] == [
        "pixels",
        "erste_Schicht__3_3",
        "private",
        "pixels_2",
    ]


def test_what_the_answers_do_not_depend_on_is_left_out_and_the_answers_come_last():
    picture = keras.Input((8, 8, 3))
    answers = layers.Softmax(name="answers")(layers.Flatten()(picture))
    both = keras.Model(picture, [answers, layers.Conv2D(3, 3, name="idle")(picture)])
    described = twin.describe(keras.Model(picture, both(picture)[0]))
    assert [layer.kind for layer in described.layers] == ["InputLayer", "Flatten", "Softmax"]


def test_a_twin_is_read_as_it_was_written(mean_colour, tmp_path):
    described = twin.describe(mean_colour(form="nested"))
    twin.write(described, tmp_path)
    found = twin.read(tmp_path)
    for layer, other in zip(described.layers, found.layers, strict=True):
        assert (layer.name, layer.kind, layer.inbound, layer.origins) == (
            other.name,
            other.kind,
            other.inbound,
            other.origins,
        )
        assert all(np.array_equal(*pair) for pair in zip(layer.weights, other.weights, strict=True))
    model = mean_colour(form="nested")
    assert twin.check(twin.build(found, keras), PIXELS, outputs(model)) <= 1e-6


@pytest.mark.parametrize("change", [1e-2, np.nan])
def test_a_twin_that_answers_otherwise_is_refused_with_the_difference(change, mean_colour):
    model = mean_colour()
    expected = outputs(model)
    expected[1, 2] += change
    with pytest.raises(ModelError, match=r"outputs differ by up to (0\.01|nan), at most 0\.0001 is allowed"):
        twin.check(twin.build(twin.describe(model), keras), PIXELS, expected)


def test_an_unknown_layer_is_named_by_its_place_in_the_model():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.GroupNormalization(3, name="group")], name="base")
    picture = keras.Input((8, 8, 3))
    model = keras.Model(picture, layers.Softmax()(layers.Flatten()(inner(picture))))
    with pytest.raises(ModelError, match=r"The layer 'base/group' \(GroupNormalization\)"):
        twin.describe(model)


def test_a_model_with_code_of_its_own_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.layer = layers.Flatten()

        def call(self, pixels):
            return self.layer(pixels)

    picture = keras.Input((8, 8, 3))
    model = keras.Model(picture, layers.Softmax()(Own()(picture)))
    with pytest.raises(ModelError, match="The model 'own' is computed by code of its own"):
        twin.describe(model)


def test_what_follows_a_layer_can_be_given_something_else():
    described = Twin(
        (
            Layer("pixels", "InputLayer", (), {"shape": [8, 8, 3]}),
            Layer("flat", "Flatten", ("pixels",)),
            Layer("answers", "Softmax", ("flat",)),
        )
    )
    seen = []

    def after(name, output):
        seen.append(name)
        return output * 0 if name == "flat" else output

    model = twin.build(described, keras, after=after)
    np.testing.assert_allclose(outputs(model), 1 / 192, rtol=1e-5)
    assert seen == ["pixels", "flat", "answers"]


def test_layers_are_found_by_name_and_by_what_they_take(mean_colour):
    described = twin.describe(mean_colour())
    assert described.layer("same").kind == "Conv2D"
    assert [layer.name for layer in described.consumers("same")] == ["same_activation"]
