import keras
import numpy as np
import pytest

from edgeproof.convert import emulation, twin
from edgeproof.convert.emulation import best_range, logit_range, peaks, places, ranges
from edgeproof.convert.lowering import lowered, without_softmax
from edgeproof.runtime import ModelError

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)


def lowered_twin(body):
    keras.utils.set_random_seed(1)
    picture = keras.Input((8, 8, 3))
    hidden = layers.GlobalAveragePooling2D(name="mean")(body(picture))
    model = keras.Model(picture, layers.Softmax()(layers.Dense(4, name="answers")(hidden)))
    return without_softmax(lowered(twin.describe(model)))


def rounded_layers(body):
    return [name for name in places(lowered_twin(body)) if name not in ("mean", "answers")]


def fused(picture):
    return layers.ReLU(6.0, name="cut")(layers.Conv2D(4, 3, name="conv")(picture))


def test_a_layer_and_the_relu_behind_it_are_rounded_once():
    assert rounded_layers(fused) == ["cut"]


def test_a_layer_whose_output_goes_past_its_relu_too_is_rounded_itself():
    def body(picture):
        hidden = layers.Conv2D(4, 3, name="conv")(picture)
        return layers.Add(name="sum")([hidden, layers.ReLU(name="relu")(hidden)])

    assert rounded_layers(body) == ["conv", "relu", "sum"]


@pytest.mark.parametrize(
    "activation",
    [layers.Activation("silu", name="then"), layers.LeakyReLU(name="then"), layers.Activation("tanh", name="then")],
)
def test_a_function_that_is_no_plain_relu_is_rounded_before_and_behind(activation):
    assert rounded_layers(lambda x: activation(layers.Conv2D(4, 3, name="conv")(x))) == ["conv", "then"]


def test_what_hands_values_on_is_not_rounded():
    def body(picture):
        hidden = layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(fused(picture)))
        return layers.Reshape((2, 2, -1))(layers.Permute((2, 1, 3))(layers.Cropping2D(1)(hidden)))

    assert rounded_layers(body) == ["cut"]


def test_a_relu_that_has_no_integer_form_is_refused():
    with pytest.raises(ModelError, match=r"'odd' \(a ReLU cut at 3\.0\) has no integer form"):
        rounded_layers(lambda x: layers.ReLU(3.0, name="odd")(layers.Conv2D(4, 3)(x)))


def test_ranges_hold_zero_and_what_calibration_showed():
    given = lowered_twin(lambda x: layers.Conv2D(4, 3, name="conv")(layers.Rescaling(1 / 255)(x)))
    found = ranges(given, PIXELS, keras)
    model = twin.build(given, keras)
    seen = keras.Model(model.inputs[0], model.get_layer("conv").output).predict(PIXELS.astype(np.float32), verbose=0)
    low, high = found["conv"]
    assert low <= 0 <= high
    assert seen.min() - 1e-6 <= low < 0.6 * seen.min()
    assert 0.6 * seen.max() < high <= seen.max() + 1e-6


def test_ranges_that_the_kernels_fix_are_not_measured():
    def body(picture):
        moved = layers.Rescaling(1 / 127.5, offset=-1, name="moved")(picture)
        hidden = layers.Conv2D(4, 3, padding="same", name="conv")(moved)
        pooled = layers.AveragePooling2D(2, name="pooled")(layers.ZeroPadding2D(1)(hidden))
        both = [layers.Activation("sigmoid", name="sigmoid")(pooled), layers.Activation("tanh", name="tanh")(pooled)]
        return layers.Multiply(name="product")(both)

    found = ranges(lowered_twin(body), PIXELS, keras)
    assert found["moved"] == (-128.0, 127.0)
    assert found["sigmoid"] == (0.0, 255 / 256)
    assert found["tanh"] == (-1.0, 127 / 128)
    assert found["pooled"] == found["conv"]


def test_the_pixels_own_range_passes_through_pooling():
    given = lowered_twin(lambda x: layers.Conv2D(4, 3)(layers.AveragePooling2D(2, name="pooled")(x)))
    assert ranges(given, PIXELS, keras)["pooled"] == (0.0, 255.0)


def test_a_rare_outlier_is_cut_off():
    values = np.random.default_rng(0).normal(size=200_000).astype(np.float32)
    low, high = best_range(np.append(values, 14.0).astype(np.float32), float(values.min()), 14.0)
    assert high < 12
    assert best_range(values, float(values.min()), float(values.max()))[1] > 0.8 * values.max()
    assert low < 0


def test_a_range_is_never_empty_and_always_holds_zero():
    zeros = np.zeros(10, np.float32)
    low, high = best_range(zeros, 0.0, 0.0)
    assert low == 0 < high
    assert best_range(zeros + 5, 4.0, 6.0)[0] == 0


def test_logits_far_below_the_first_take_no_steps_from_those_above():
    generator = np.random.default_rng(0)
    logits = generator.normal(-40, 2, (200, 10)).astype(np.float32)
    logits[np.arange(200), generator.integers(0, 10, 200)] = generator.normal(8, 2, 200)
    logits[np.arange(200), generator.integers(0, 10, 200)] = generator.normal(8, 2, 200)
    low, high = logit_range(logits)
    assert -20 < low <= 0
    assert high == logits.max()


def test_peaks_are_those_of_each_channel():
    given = lowered_twin(lambda x: layers.Conv2D(4, 3, name="conv")(x))
    model = twin.build(given, keras)
    seen = keras.Model(model.inputs[0], model.get_layer("conv").output).predict(PIXELS.astype(np.float32), verbose=0)
    found = peaks(given, ["conv"], PIXELS, keras)
    np.testing.assert_allclose(found["conv"], np.abs(seen).max(axis=(0, 1, 2)), rtol=1e-5)
    assert peaks(given, [], PIXELS, keras) == {}


def test_samples_of_an_activation_meet_all_its_channels():
    # As many values as a stride would need to meet the same channel of 64 at every turn.
    def body(picture):
        return layers.Conv2D(64, 1, padding="same", name="conv", use_bias=False)(picture)

    given = lowered_twin(body)
    kernel = np.zeros((1, 1, 3, 64), np.float32)
    kernel[..., 0], kernel[..., 17] = 0.001, 1.0
    changed = [
        twin.Layer(e.name, e.kind, e.inbound, e.settings, (kernel,) if e.name == "conv" else e.weights)
        for e in given.layers
    ]
    assert emulation.ranges(twin.Twin(tuple(changed)), PIXELS, keras)["conv"][1] > 500
