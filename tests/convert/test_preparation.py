import itertools

import keras
import msgspec
import numpy as np
import pytest

from edgeproof.convert import equalisation, preparation
from edgeproof.convert.build import build
from edgeproof.convert.preparation import Preparation
from edgeproof.convert.recipes import FLOAT32, INT8, RECIPES, Steps, options
from edgeproof.convert.verification import Summary
from edgeproof.runtime import modelfile
from edgeproof.runtime.interpreter import Runner

layers = keras.layers
NONE = options(repair="none").steps


# --- what a preparation shares --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pixels(coloured):
    return coloured(64, 8)


@pytest.fixture(scope="module")
def prepared(mean_colour, pixels):
    return Preparation(mean_colour(), pixels, steps=Steps())


def test_observed_ranges_contain_nought_and_the_pixels_are_bytes(prepared):
    ranges = prepared.ranges()
    assert ranges[prepared.graph.inputs[0]] == (0.0, 255.0)
    assert len(ranges) == len(prepared.graph.operators) + 1
    assert all(low <= 0 <= high and low < high for low, high in ranges.values())


def test_whether_more_pictures_would_move_the_ranges_is_judged(prepared):
    _, found = prepared.observed
    assert found.images[-1] == 64
    assert len(found.movement) == len(found.images) - 1 > 0


def test_one_picture_is_not_judged(mean_colour, coloured):
    _, found = Preparation(mean_colour(), coloured(1, 8), steps=NONE).observed
    assert (found.images, found.movement, found.converged) == ((1,), (), False)


def test_each_part_is_made_once(prepared):
    assert prepared.float32 is prepared.float32
    assert prepared.graph is prepared.graph
    assert prepared.observed is prepared.observed
    assert prepared.weights is prepared.weights


def test_what_is_built_leaves_the_graph_that_is_shared_as_it_is(mean_colour, pixels):
    found = Preparation(mean_colour(), pixels, steps=Steps())
    before = found.graph.packed()
    for recipe in RECIPES.values():
        if recipe.name != "int8-qat":
            build(recipe, found)
    assert found.graph.packed() == before


def test_the_same_seed_gives_the_same_bytes_twice(mean_colour, pixels):
    model = mean_colour()
    one, other = (build(INT8, Preparation(model, pixels, steps=Steps(), seed=3)) for _ in range(2))
    assert one == other


def test_equalisation_can_be_left_out(mean_colour, pixels):
    found = Preparation(mean_colour(), pixels, steps=Steps(equalisation=False))
    assert found.graph.packed() == preparation.Graph.read(found.float32).packed()
    assert found.notes == []


def test_equalisation_that_changes_the_float_answers_is_left_out_with_a_note(mean_colour, pixels, monkeypatch):
    def spoil(graph, pixels):
        last = max(i for i in range(len(graph.operators)) if graph.kind(i) == "FULLY_CONNECTED")
        graph.set_constant(int(graph.operators[last].inputs[2]), np.array([99, 0, 0, 0]))
        return 1

    monkeypatch.setattr(equalisation, "equalise", spoil)
    found = Preparation(mean_colour(), pixels, steps=Steps())
    assert found.graph.packed() == preparation.Graph.read(found.float32).packed()
    (note,) = found.notes
    assert note.startswith("equalisation was left out: it changed ")


def test_where_no_layers_meet_equalisation_is_left_out_with_a_note(pixels):
    inside = keras.Input((8, 8, 3))
    model = keras.Model(inside, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(inside)))
    found = Preparation(model, pixels, steps=Steps())
    assert found.graph is found.graph
    assert found.notes == ["equalisation was left out: no two layers meet in a way that lets channels be scaled"]


def test_layers_that_were_not_repaired_are_noted_once(pixels):
    inside = keras.Input((8, 8, 3))
    hidden = layers.Dense(4, use_bias=False, name="bare")(layers.GlobalAveragePooling2D()(inside))
    found = Preparation(keras.Model(inside, layers.Softmax()(hidden)), pixels, steps=Steps(equalisation=False))
    for _ in range(2):
        build(INT8, found)
    (note,) = found.notes
    assert "bare" in note
    assert note.endswith("was not repaired: it has no bias")


# --- every kind of model goes the whole way -------------------------------------------------------------------------


def settled(model, pictures):
    """Give batch norms the statistics of pictures, spread their scales, and let depthwise filters mostly average."""
    draw = np.random.default_rng(0)
    every = list(itertools.chain.from_iterable(m.layers if isinstance(m, keras.Model) else [m] for m in model.layers))
    norms = [layer for layer in every if isinstance(layer, layers.BatchNormalization)]
    for layer in every:
        if isinstance(layer, layers.DepthwiseConv2D):
            first, *rest = layer.get_weights()
            layer.set_weights([(1 + 0.3 * draw.standard_normal(first.shape)) / first.shape[0] ** 2, *rest])
    for norm in norms:
        linear, norm.momentum = "project" in norm.name, 0.0
        norm.gamma.assign(draw.lognormal(-0.7 if linear else 0, 0.5, norm.gamma.shape))
        norm.beta.assign(draw.normal(0 if linear else 1.5, 0.5, norm.beta.shape))
    model(pictures.astype(np.float32), training=True)


def taught(model, pictures, classes):
    """Solve the last layer for the classes of `coloured`, in turn."""
    settled(model, pictures[:64])
    head = model.layers[-1]
    seen = np.asarray(keras.Model(model.inputs[0], head.input)(pictures.astype(np.float32), training=False), np.float64)
    middle, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-3
    rows, wanted = (seen - middle) / spread, np.eye(classes)[np.arange(len(seen)) % classes] - 1 / classes
    kernel = 8 * np.linalg.solve(rows.T @ rows + len(rows) * np.eye(rows.shape[1]), rows.T @ wanted) / spread[:, None]
    head.set_weights([kernel, -middle @ kernel])
    return model


def block(hidden, name, channels, *, expand, stride=1):
    wide = layers.Conv2D(expand, 1, use_bias=False)(hidden)
    wide = layers.ReLU(6.0)(layers.BatchNormalization()(wide))
    wide = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(wide)
    wide = layers.ReLU(6.0)(layers.BatchNormalization()(wide))
    given = layers.BatchNormalization(name=f"{name}_project")(layers.Conv2D(channels, 1, use_bias=False)(wide))
    return layers.Add()([hidden, given]) if stride == 1 and hidden.shape[-1] == channels else given


def nested(size, classes):
    """A base model inside a model, as a user writes transfer learning."""
    inside = keras.Input((size, size, 3))
    hidden = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(inside)
    hidden = layers.ReLU(6.0)(layers.BatchNormalization()(hidden))
    hidden = block(hidden, "first", 12, expand=24, stride=2)
    base = keras.Model(inside, block(hidden, "second", 12, expand=36), name="base")
    outside = keras.Input((size, size, 3))
    features = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 127.5, -1)(outside)))
    return keras.Model(outside, layers.Dense(classes, activation="softmax")(features))


def in_a_row(size, classes):
    """A plain CNN with Flatten and Dense."""
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(4),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )


def mobilenet(size, classes, *, flat=True):
    outside = keras.Input((size, size, 3))
    scaled = layers.Rescaling(1 / 127.5, -1)(outside)
    options = {"alpha": 0.35, "include_top": False, "weights": None, "pooling": "avg"}
    if flat:
        features = keras.applications.MobileNetV2(input_tensor=scaled, **options).output
    else:
        features = keras.applications.MobileNetV2((size, size, 3), **options)(scaled)
    return keras.Model(outside, layers.Dense(classes, activation="softmax")(features))


def efficientnet(size, classes):
    """Swish, squeeze-and-excite, and its own scaling of pixels."""
    outside = keras.Input((size, size, 3))
    options = {"include_top": False, "weights": None, "pooling": "avg"}
    features = keras.applications.EfficientNetV2B0(input_tensor=outside, **options).output
    return keras.Model(outside, layers.Dense(classes, activation="softmax")(features))


def whole_way(model, coloured, size, classes):
    """Same answers as Keras and mean error, by recipe, with all repairs and with none; and what was left alone."""
    taught(model, coloured(120, size, classes=classes), classes)
    calibrating, unseen = coloured(60, size, seed=1, classes=classes), coloured(120, size, seed=2, classes=classes)
    expected = np.asarray(model(unseen.astype(np.float32), training=False))
    answers = np.bincount(expected.argmax(axis=1), minlength=classes)
    assert answers.min() >= 120 / classes / 3, "the model must give several different answers"
    all_of_it = Preparation(model, calibrating, steps=Steps())
    none = all_of_it.varied(steps=NONE, estimator="min-max")
    given = {"float32": build(FLOAT32, all_of_it), "int8": build(INT8, all_of_it), "none": build(INT8, none)}
    found = {name: Runner(content).probabilities(unseen) for name, content in given.items()}
    same = {name: float((each.argmax(axis=1) == expected.argmax(axis=1)).mean()) for name, each in found.items()}
    return same, {name: float(np.abs(each - expected).mean()) for name, each in found.items()}, all_of_it.notes


@pytest.mark.parametrize(
    ("make", "size", "classes", "noted"),
    [(nested, 16, 2, None), (nested, 32, 4, None), (in_a_row, 32, 4, "equalisation was left out")],
)
def test_a_model_of_any_form_is_repaired_or_left_alone_with_a_reason(make, size, classes, noted, coloured):
    keras.utils.set_random_seed(1)
    same, error, notes = whole_way(make(size, classes), coloured, size, classes)
    assert same["float32"] == 1
    # A picture or two of 120 may go either way.
    assert same["int8"] >= max(0.95, same["none"] - 0.02)
    assert error["int8"] < error["none"]
    assert any(note.startswith(noted) for note in notes) if noted else not notes


def test_mobilenet_of_alpha_035_is_repaired(colour_run, colour_exports):
    """Its last maps are 1×1 at 32 pixels, where the converter drops the axis of pictures."""
    expected = colour_run.read_predictions(colour_run.read_pictures())
    assert len(set(expected.argmax(axis=1).tolist())) == 4
    summary = msgspec.json.decode((colour_exports / "verification.json").read_bytes(), type=Summary)
    same = {result.recipe: result.verification.same_answers for result in summary.results}
    assert same["float32"] == 1
    assert same["int8"] >= 0.95
    assert modelfile.read(colour_exports / "colours-int8.tflite").contract.repairs == Steps().names


@pytest.mark.data
@pytest.mark.parametrize(
    ("make", "size", "classes"),
    [
        (mobilenet, 128, 4),
        (lambda size, classes: mobilenet(size, classes, flat=False), 64, 2),
        (efficientnet, 64, 4),
    ],
    ids=["mobilenet 128 px", "nested mobilenet 2 classes", "efficientnet 64 px"],
)
def test_real_networks_are_repaired(make, size, classes, coloured):
    keras.utils.set_random_seed(1)
    same, error, _ = whole_way(make(size, classes), coloured, size, classes)
    assert same["float32"] == 1
    assert same["int8"] >= max(0.9, same["none"] - 0.02)
    assert error["int8"] < error["none"]
