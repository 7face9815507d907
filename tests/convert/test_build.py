import numpy as np
import pytest

from edgeproof.convert import recipes
from edgeproof.convert.build import build
from edgeproof.convert.preparation import Preparation
from edgeproof.convert.recipes import FLOAT16, FLOAT32, INT8, INT8_QAT, INT16X8, RECIPES, Steps
from edgeproof.runtime import graph
from edgeproof.runtime.graph import WEIGHTED, Graph
from edgeproof.runtime.interpreter import Runner

BUILT = tuple(name for name in RECIPES if name != "int8-qat")
NONE = recipes.options(repair="none").steps


def pixels(count, seed=0):
    """Plain pictures in all colours; the first one has the range's two ends."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 1, 1, 3), np.uint8)
    found = np.broadcast_to(colours, (count, 8, 8, 3)).copy()
    found[0, 0, 0], found[0, 0, 1] = 0, 255
    return found


@pytest.fixture(scope="module")
def model(mean_colour):
    return mean_colour()


@pytest.fixture(scope="module")
def prepared(model):
    """What the recipes share: with every repair, and with none."""
    return {steps: Preparation(model, pixels(60), steps=steps) for steps in (Steps(), NONE)}


@pytest.fixture(scope="module")
def made(prepared):
    return {name: build(RECIPES[name], prepared[Steps()]) for name in BUILT}


@pytest.mark.parametrize("recipe", BUILT)
def test_each_recipe_gives_keras_outputs_to_within_a_few_steps(recipe, made, model):
    found = Runner(made[recipe]).probabilities(pixels(40, seed=1))
    expected = model.predict(pixels(40, seed=1).astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6 if recipe == "float32" else 0.06)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.97
    assert len(set(expected.argmax(axis=1).tolist())) > 2


@pytest.mark.parametrize("recipe", BUILT)
def test_each_recipe_takes_and_gives_what_it_says(recipe, made):
    runner = Runner(made[recipe])
    assert (runner.input.dtype, runner.output.dtype) == (RECIPES[recipe].input, RECIPES[recipe].output)
    if runner.input.dtype == "uint8":
        assert (runner.input.scale, runner.input.zero_point) == (1.0, 0)


@pytest.mark.parametrize(
    ("recipe", "per_channel", "integer_share"),
    [("float32", 0, 0), ("float16", 0, 0), ("weights8", 0, 0), ("int8", 2, 1), ("int16x8", 2, 1)],
)
def test_a_file_is_what_its_recipe_says(recipe, per_channel, integer_share, made):
    found = graph.quantisation(made[recipe])
    assert found.per_channel_weights == per_channel
    assert found.integer_multiply_accumulates == integer_share * found.multiply_accumulates


def test_weights_are_stored_in_the_types_of_the_recipes(made):
    kinds = {
        recipe: {
            values.dtype.name
            for tensor in range(len(read.tensors))
            if (values := read.constant(tensor)) is not None and values.ndim >= 2
        }
        for recipe, read in ((name, Graph.read(content)) for name, content in made.items())
    }
    assert kinds["float32"] == {"float32"}
    assert kinds["float16"] == {"float16"}
    assert kinds["weights8"] == kinds["int8"] == kinds["int16x8"] == {"int8"}
    assert kinds["dynamic"] == {"float32"}, "tensors of a few weights stay float"


def test_the_answers_of_int8_as_bytes_leave_no_float_operator(prepared):
    flatbuffer = build(INT8, prepared[Steps()], given="uint8")
    assert graph.quantisation(flatbuffer).float_operators == 0
    runner = Runner(flatbuffer)
    assert (runner.output.dtype, runner.output.scale, runner.output.zero_point) == ("uint8", 1 / 256, 0)


def test_the_answers_of_int8_as_floats_come_from_a_float_head(made, prepared):
    assert graph.quantisation(made["int8"]).float_operators > 0
    plain = Graph.read(build(INT8, prepared[NONE]))
    kinds = [plain.kind(i) for i in range(len(plain.operators))]
    assert kinds[-2:] == ["SOFTMAX", "DEQUANTIZE"], "without the repair they are bytes made float"


def test_layers_that_are_to_stay_float_do(prepared):
    found = Graph.read(build(INT8, prepared[Steps()], in_float=(0,)))
    types = [
        found.is_float(int(found.operators[i].inputs[1]))
        for i in range(len(found.operators))
        if found.kind(i) in WEIGHTED
    ]
    assert types == [True, False]


def test_16_bit_activations_get_narrow_biases(made):
    read = Graph.read(made["int16x8"])
    biases = [
        read.constant(int(read.operators[i].inputs[2])) for i in range(len(read.operators)) if read.kind(i) in WEIGHTED
    ]
    assert [bias.dtype.name for bias in biases] == ["int32", "int32"]


def test_without_repairs_the_file_is_what_the_quantiser_makes_of_the_float_graph(prepared):
    from edgeproof.convert import interface, quantiser

    plain = prepared[NONE]
    stock = quantiser.static(Graph.read(plain.float32), plain.ranges())
    interface.with_input(stock, "uint8")
    interface.with_output(stock, "float32")
    assert build(INT8, plain) == stock.packed()


def test_the_float_recipes_are_of_the_models_own_weights(prepared):
    """Not of the equalised ones: their files are the reference for what repairs do."""
    assert build(FLOAT32, prepared[Steps()]) == Graph.read(prepared[Steps()].float32).packed()
    assert build(FLOAT16, prepared[Steps()]) == build(FLOAT16, prepared[NONE])


@pytest.mark.parametrize("taken", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("given", ["uint8", "int8", "float32"])
def test_ends_can_be_asked_for(taken, given, prepared):
    runner = Runner(build(INT16X8, prepared[NONE], taken=taken, given=given))
    assert (runner.input.dtype, runner.output.dtype) == (taken, given)


def test_a_recipe_that_needs_a_training_is_refused(prepared):
    with pytest.raises(ValueError, match=r"built from the float graph, got int8-qat"):
        build(INT8_QAT, prepared[NONE])


def test_the_batch_can_be_resized(made):
    runner = Runner(made["int8"])
    together = runner.probabilities(pixels(7))
    alone = np.concatenate([runner.probabilities(pixels(7)[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(together, alone, atol=1e-6)
