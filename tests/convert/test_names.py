from collections import defaultdict

import keras
import numpy as np
import pytest

from edgeproof.convert import reference
from edgeproof.convert.execution import Execution
from edgeproof.convert.export import export
from edgeproof.convert.names import layer_names
from edgeproof.runtime import labels, modelfile
from edgeproof.runtime.graph import Graph

L = keras.layers
COMPUTING = (L.Conv2D, L.DepthwiseConv2D, L.SeparableConv2D, L.Dense, L.Add)
# What conversion folds into the operator before it.
FOLDED = (L.BatchNormalization, L.Activation, L.ReLU, L.ZeroPadding2D, L.Dropout)
JUDGED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD")


def exported(model):
    return Graph.read(export(model))


def randomised(model):
    """Batch norm that moves and turns channels, so that no two layers give the same values."""
    draw = np.random.default_rng(3)
    for weight in model.weights:
        if "gamma" in weight.path:
            weight.assign(draw.uniform(0.5, 1.5, weight.shape) * draw.choice([-1, 1], weight.shape))
        elif "variance" in weight.path:
            weight.assign(draw.uniform(0.5, 1.5, weight.shape))
        elif len(weight.shape) < 2:
            weight.assign(draw.normal(0, 0.2, weight.shape))
    return model


def leaves(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        elif not isinstance(layer, L.InputLayer):
            yield layer


def recorded(model, values, monkeypatch):
    """(layer, first input, output) of every call of a layer, with the output before its own activation too."""
    calls = []

    def spied(layer):
        call, activation, before = layer.call, getattr(layer, "activation", None), []

        def spy(*inputs, **options):
            before.clear()
            given = call(*inputs, **options)
            first = inputs[0][0] if isinstance(inputs[0], list | tuple) else inputs[0]
            calls.extend((layer, np.asarray(first), np.asarray(each)) for each in (*before, given))
            return given

        def activated(inputs, *rest, **options):
            before.append(inputs)
            return activation(inputs, *rest, **options)

        monkeypatch.setattr(layer, "call", spy)
        if activation is not None and not isinstance(layer, L.Activation):
            monkeypatch.setattr(layer, "activation", activated)

    for layer in dict.fromkeys(leaves(model)):
        spied(layer)
    model(values, training=False)
    return calls


def by_values(model, graph, values, monkeypatch):
    """The layers that may have computed each judged operator's output, told by the numbers that Keras computes."""
    calls, run, found = recorded(model, values, monkeypatch), Execution(graph, values), defaultdict(set)
    for operator in range(len(graph.operators)):
        seen = run.advance(operator)
        for layer, taken, given in calls if graph.kind(operator) in JUDGED else ():
            if given.size == seen.size and np.allclose(
                given.reshape(seen.shape), seen, rtol=1e-3, atol=1e-3 * seen.std()
            ):
                while isinstance(layer, FOLDED):
                    layer, taken, _ = next(call for call in calls if np.array_equal(call[2], taken))
                if isinstance(layer, COMPUTING) and isinstance(layer, L.Add) == (graph.kind(operator) == "ADD"):
                    found[operator].add(layer.name)
    return found


def share_right(model, graph, monkeypatch, *, with_model=True):
    """How many operators have the right name, and how many have one at all that can be told by values."""
    names = layer_names(graph, model if with_model else None)
    values = np.random.default_rng(0).uniform(0, 255, (1, *model.inputs[0].shape[1:])).astype(np.float32)
    true = by_values(model, graph, values, monkeypatch)
    return sum(names[operator].split("/")[-1] in layers for operator, layers in true.items()), len(true)


def side(name):
    inputs = keras.Input((8, 8, 3))
    hidden = L.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="conv")(inputs)
    hidden = L.ReLU(6.0, name="conv_relu")(L.BatchNormalization(name="conv_BN")(hidden))
    hidden = L.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(hidden)
    hidden = L.DepthwiseConv2D(3, strides=2, use_bias=False, name="depthwise")(hidden)
    hidden = L.Activation("swish", name="act")(L.BatchNormalization(name="depthwise_BN")(hidden))
    return keras.Model(inputs, hidden, name=name)


@pytest.fixture(scope="module")
def nested():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    scaled = L.Rescaling(1 / 127.5, offset=-1)(inputs)
    both = L.Add(name="sum")([side("left")(scaled), side("right")(scaled)])
    twice = L.Conv2D(6, 1, activation="relu", name="twice")
    both = L.Add(name="again")([both, twice(twice(both))])
    both = L.SeparableConv2D(5, 3, padding="same", activation="relu", name="separable")(both)
    both = L.Conv2D(4, 3, padding="same", name="conv2d_1")(L.Conv2D(4, 3, padding="same", name="conv2d")(both))
    pooled = L.GlobalAveragePooling2D(name="pool")(both)
    return randomised(keras.Model(inputs, L.Dense(4, activation="softmax", name="answers")(pooled)))


@pytest.fixture(scope="module")
def nested_graph(nested):
    return exported(nested)


def test_every_operator_of_a_nested_model_has_the_layer_that_gives_its_values(nested, nested_graph, monkeypatch):
    right, judged = share_right(nested, nested_graph, monkeypatch)
    assert right == judged >= 11


def test_layers_of_one_name_in_two_models_are_told_apart(nested, nested_graph):
    names = set(layer_names(nested_graph, nested).values())
    assert {"left/conv", "right/conv", "left/depthwise", "right/depthwise", "sum", "twice"} <= names
    assert "conv" not in names


def test_a_layer_that_is_called_twice_or_becomes_two_operators_names_both(nested, nested_graph):
    names = list(layer_names(nested_graph, nested).values())
    assert names.count("twice") == 2
    assert names.count("separable") == 2


def test_every_operator_has_a_name_even_where_its_tensor_has_none(nested, nested_graph):
    names = layer_names(nested_graph, nested)
    assert set(names) == set(range(len(nested_graph.operators)))
    assert names[len(names) - 1] == "answers"  # the softmax, whose tensor the converter calls Identity


def test_without_the_model_the_scopes_name_the_layers(nested, nested_graph, monkeypatch):
    right, judged = share_right(nested, nested_graph, monkeypatch, with_model=False)
    assert right == judged


def test_a_sequential_with_default_names_keeps_them_apart(monkeypatch):
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    row = [L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.Conv2D(4, 3, padding="same"), L.ReLU()]
    row += [
        L.MaxPooling2D(),
        L.Conv2D(4, 3, padding="same"),
        L.MaxPooling2D(),
        L.Flatten(),
        L.Dense(8, activation="relu"),
        L.Dense(4),
        L.Softmax(),
    ]
    model = randomised(keras.Sequential([keras.Input((8, 8, 3)), L.Rescaling(1 / 255), *row]))
    graph = exported(model)
    right, judged = share_right(model, graph, monkeypatch)
    assert right == judged == 5
    names = list(layer_names(graph, model).values())
    assert [name for name in names if name.startswith("max")] == ["max_pooling2d", "max_pooling2d_1"]
    assert names[-2:] == ["dense_1", "softmax"]


def test_names_tell_layers_apart_whose_weights_are_the_same(colour_run, colour_exports):
    # Every depthwise filter of this backbone is an average.
    model = keras.models.load_model(colour_run.model, compile=False)
    graph = Graph.read(modelfile.read(colour_exports / "colours-float32.tflite").flatbuffer)
    names = layer_names(graph, model)
    depthwise = [names[number] for number in names if graph.kind(number) == "DEPTHWISE_CONV_2D"]
    wanted = [layer.name for layer in model.layers if isinstance(layer, L.DepthwiseConv2D)]
    assert depthwise == wanted


def test_weights_tell_layers_apart_whose_names_are_lost(nested, nested_graph):
    graph = Graph.read(nested_graph.packed())
    for number in range(len(graph.operators)):
        graph.tensors[graph.given(number)].name = f"t{number}".encode()
    kept, lost = layer_names(nested_graph, nested), layer_names(graph, nested)
    weighted = [n for n in kept if graph.kind(n) in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    assert [lost[n] for n in weighted] == [kept[n] for n in weighted]


def stock(data):
    folder = data / "models" / "stock-recipe"
    return reference.load(folder / "model.keras", labels.read(folder / "labels.txt"), input_range=(-1, 1)).model


def small(_):
    return randomised(keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, weights=None, classes=10))


def around(_):
    base = keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, weights=None, include_top=False)
    pooled = L.GlobalAveragePooling2D()(base(inputs := keras.Input((64, 64, 3))))
    return randomised(keras.Model(inputs, L.Dense(10, activation="softmax", name="predictions")(pooled)))


def efficient(_):
    return randomised(keras.applications.EfficientNetV2B0(weights=None, input_shape=(64, 64, 3), classes=10))


@pytest.mark.data
@pytest.mark.parametrize(("make", "least"), [(stock, 64), (small, 63), (around, 63), (efficient, 107)])
def test_at_least_98_of_100_operators_have_the_right_name(make, least, edgeproof_data, monkeypatch):
    keras.utils.set_random_seed(1)
    model = make(edgeproof_data)
    right, judged = share_right(model, exported(model), monkeypatch)
    print(f"{make.__name__}: {right} of {judged}")
    assert judged >= least
    assert right >= 0.98 * judged
