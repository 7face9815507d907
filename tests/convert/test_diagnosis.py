import keras
import msgspec
import numpy as np
import pytest

from edgeproof.convert import reference
from edgeproof.convert.diagnosis import Diagnosis, diagnose
from edgeproof.convert.export import export
from edgeproof.convert.links import MIXING, makers
from edgeproof.convert.names import layer_names
from edgeproof.convert.sensitivity import HeldOut, whole
from edgeproof.runtime import labels
from edgeproof.runtime.graph import WEIGHTED, Graph
from edgeproof.train import dataset
from edgeproof.train.config import Data

L = keras.layers
KINDS = ([100.0], [0.01], [100.0, 0.01])


@pytest.fixture(scope="module")
def graph(residual):
    return residual(uneven=0.0, activation="RELU")


@pytest.fixture(scope="module")
def judged(coloured, ranges_of):
    """Diagnose a graph on coloured pictures."""
    pytest.importorskip("litert_quantizer", reason="needs the train extra")

    def judge(graph, names=None, **ranges):
        pixels, held_out = coloured(40, 16), HeldOut(coloured(40, 16, seed=5), np.arange(40) % 4)
        known = names or {number: f"layer_{number}" for number in range(len(graph.operators))}
        return diagnose(graph, pixels, names=known, ranges=ranges_of(graph, pixels), held_out=held_out, model="toy")

    return judge


@pytest.fixture(scope="module")
def healthy(graph, judged):
    return judged(graph)


def faultable(graph):
    """The layers whose channels can be scaled behind a ReLU, if any, and back in the layers behind, and no others."""
    takers = makers(graph)
    found = []
    for maker in sorted(set(takers.values())):
        users = graph.consumers(graph.given(maker))
        mixed = [taker for taker, its in takers.items() if its == maker and graph.kind(taker) in MIXING]
        only = len(users) == 1 and mixed and graph.activation(maker) in ("NONE", "RELU")
        if only and graph.kind(maker) in WEIGHTED:
            found.append(maker)
    return found


def test_every_operator_has_a_row_under_its_keras_name(healthy, graph):
    assert [layer.operator for layer in healthy.layers] == list(range(len(graph.operators)))
    assert healthy.layers[3].name == "layer_3"
    assert healthy.layers[3].kind == graph.kind(3)
    assert healthy.layers[0].activation == "RELU"


def test_measures_are_within_their_ranges(healthy, graph):
    for layer in healthy.layers:
        assert layer.sqnr_db is None or 0 < layer.sqnr_db < 100
        assert 0.5 < layer.cosine <= 1.0001
        assert 0 <= layer.saturated <= 1
        assert layer.damage >= 0
        assert (layer.weight_range_ratio is not None) == (graph.kind(layer.operator) in WEIGHTED)
    assert all(layer.weight_range_ratio >= 1 for layer in healthy.layers if layer.weight_range_ratio is not None)
    assert healthy.held_out_images == healthy.calibration_images == 40


def test_the_ratio_of_weights_is_that_of_the_channels_in_use(graph, judged):
    changed = Graph.read(graph.packed())
    weights = int(changed.operators[0].inputs[1])
    rows = changed.constant(weights) / np.abs(changed.constant(weights)).max(axis=(1, 2, 3), keepdims=True)
    changed.set_constant(weights, rows * np.array([1, 2, 3, 4, 5, 6, 7, 1e-9]).reshape(8, 1, 1, 1) / 700)
    assert judged(changed).layers[0].weight_range_ratio == pytest.approx(7, rel=1e-5)


def test_a_healthy_model_has_nothing_wrong(healthy):
    assert healthy.int8_answers_changed < 0.06
    assert healthy.worst == ()
    assert all(layer.cause == "none" and layer.sentence.endswith("nothing wrong.") for layer in healthy.layers)


def test_a_diagnosis_is_json_and_back(healthy):
    content = msgspec.json.encode(healthy)
    assert msgspec.json.decode(content, type=Diagnosis) == healthy
    assert msgspec.json.decode(content)["schema"] == 1


@pytest.mark.parametrize("factors", KINDS)
def test_a_layer_whose_channels_were_scaled_is_named_first_and_not_the_one_that_makes_up_for_it(
    graph, judged, spoiled, factors
):
    for number, maker in enumerate(faultable(graph)[:2]):
        changed = spoiled(graph, maker, factors, seed=number)
        found = judged(changed)
        assert found.worst[0].operator == maker
        assert found.worst[0].cause == "channels"
        assert "cross-layer equalisation" in found.worst[0].sentence


def test_damage_behind_a_scaled_layer_is_its_own(graph, judged, spoiled):
    maker = faultable(graph)[0]
    taker = next(number for number, its in makers(graph).items() if its == maker and graph.kind(number) in MIXING)
    found = judged(spoiled(graph, maker, [100.0]))
    assert found.layers[taker].damage > 0.01
    assert found.layers[taker].blame < 0.1 * found.layers[taker].damage
    assert found.layers[maker].blame > found.layers[maker].damage


def test_operators_without_a_name_are_called_as_their_tensors(graph, judged):
    assert judged(graph, {1: "only"}).layers[0].name == graph.name(graph.given(0))


# --- twenty trials on real pictures: what the diagnosis must show ---------------------------------------------------


@pytest.fixture(scope="module")
def pictures(edgeproof_data):
    folder = edgeproof_data / "data"
    source = Data(source=str(folder / "cifar100-train.zip"), test=str(folder / "cifar100-test.zip"))
    found = dataset.load(source, size=96, seed=0).train
    return found.relabelled(labels.read(edgeproof_data / "models" / "stock-recipe" / "labels.txt"))


def drawn(pictures, count, seed):
    """Pixels and classes of some pictures."""
    return next(pictures.take(np.random.default_rng(seed).permutation(len(pictures))[:count]).batches(count))


def named_first(graph, names, trials, pixels, held_out, ranges_of, spoiled):
    """How many of the trials (layer, factors) have the spoiled layer first."""
    right = 0
    for number, (maker, factors) in enumerate(trials):
        changed = spoiled(graph, maker, factors, seed=number)
        moved = np.abs(whole(changed, held_out.pixels) - whole(graph, held_out.pixels)).max()
        assert moved < 1e-3, "the fault changes what the model computes"
        found = diagnose(changed, pixels, names=names, ranges=ranges_of(changed, pixels), held_out=held_out)
        first, second = found.ranked[:2]
        right += first.name == names[maker] and first.cause == "channels"
        print(f"{names[maker]} by {factors}: {first.name} {first.blame:.3f}, then {second.name} {second.blame:.3f}")
    return right


@pytest.mark.data
def test_a_spoiled_layer_of_the_stock_model_is_named_first(edgeproof_data, pictures, ranges_of, spoiled):
    model = reference.load(
        edgeproof_data / "models" / "stock-recipe" / "model.keras", pictures.labels, input_range=(-1, 1)
    ).model
    graph = Graph.read(export(model))
    names = layer_names(graph, model)
    makers_ = [number for number in faultable(graph) if graph.activation(number) == "NONE"]
    assert [names[number] for number in makers_] == ["expanded_conv_project", "block_16_project"]
    trials = [(maker, factors) for factors in KINDS for maker in makers_]
    calibration, held_out = drawn(pictures, 100, 0)[0], HeldOut(*drawn(pictures, 96, 1))
    assert named_first(graph, names, trials, calibration, held_out, ranges_of, spoiled) == len(trials) == 6


@pytest.mark.data
def test_a_spoiled_layer_of_a_plain_cnn_is_named_first(pictures, ranges_of, spoiled):
    keras.utils.set_random_seed(0)
    small = pictures.take(np.flatnonzero(pictures.classes < 10))
    pixels, classes = small.stored, small.classes
    model = plain_cnn()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pixels, classes, epochs=6, batch_size=64, verbose=0)
    graph = Graph.read(export(model))
    names = layer_names(graph, model)
    makers_ = faultable(graph)
    assert len(makers_) == 14
    trials = [(maker, KINDS[number % 3]) for number, maker in enumerate(makers_)]
    draw = np.random.default_rng(1).permutation(len(pixels))
    held_out = HeldOut(pixels[draw[100:300]], classes[draw[100:300]])
    assert named_first(graph, names, trials, pixels[draw[:100]], held_out, ranges_of, spoiled) == len(trials) == 14


def plain_cnn():
    hidden = inputs = keras.Input((32, 32, 3))
    hidden = L.Rescaling(1 / 127.5, offset=-1)(hidden)
    for number, channels in enumerate((24, 24, 32, 32, 48, 48, 64, 64, 64, 64)):
        hidden = L.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv_{number}")(hidden)
        hidden = L.ReLU()(L.BatchNormalization()(hidden))
        if number in (1, 3, 5):
            hidden = L.MaxPooling2D()(hidden)
    hidden = L.Flatten()(L.AveragePooling2D(2)(hidden))
    for number in range(4):
        hidden = L.Dense(96, activation="relu", name=f"dense_{number}")(hidden)
    return keras.Model(inputs, L.Dense(10, activation="softmax", name="answers")(hidden))
