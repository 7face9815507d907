import subprocess
import sys
import threading

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime import ModelError
from edgeproof.runtime.interpreter import BATCH, Runner

OPS, KINDS = schema.BuiltinOperator, schema.TensorType
SHAPE = [1, 8, 8, 3]


def noise(count, seed=3):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def expected(pixels, tests):
    """The tiny model once more, in NumPy."""
    logits = pixels.mean(axis=(1, 2), dtype=np.float64) @ tests.WEIGHTS.T.astype(np.float64) + tests.BIAS
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.fixture
def tests(make_flatbuffer):
    """The module that makes the tiny model."""
    return sys.modules[make_flatbuffer.__module__]


def first_tensors(graph, kind, **quantisation):
    """A graph that takes `kind` and goes on with floats."""
    first = graph.tensor("pixels", SHAPE, kind, **quantisation)
    return first, graph.operator(OPS.DEQUANTIZE, [first], graph.tensor("image", SHAPE))


def mean(graph, image):
    axes = graph.tensor("axes", [2], KINDS.INT32, values=np.array([1, 2], np.int32))
    options = schema.BuiltinOptions.ReducerOptions
    out = graph.tensor("mean", [1, 3])
    return graph.operator(OPS.MEAN, [image, axes], out, options, schema.ReducerOptionsT())


def reshape(graph, tensor, shape, given):
    wanted = graph.tensor("wanted", [len(shape)], KINDS.INT32, values=np.array(shape, np.int32))
    return graph.operator(OPS.RESHAPE, [tensor, wanted], graph.tensor("reshaped", given))


def softmax(graph, tensor, shape):
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    out = graph.tensor("softmax", shape)
    return graph.operator(OPS.SOFTMAX, [tensor], out, schema.BuiltinOptions.SoftmaxOptions, options)


# --- numbers ------------------------------------------------------------------------------------------------


def test_a_float_model_answers_what_numpy_does(tiny_flatbuffer, tests):
    pixels = noise(5)
    np.testing.assert_allclose(Runner(tiny_flatbuffer).probabilities(pixels), expected(pixels, tests), atol=1e-6)


def test_integer_outputs_are_dequantised(make_flatbuffer, tests):
    pixels = noise(50)
    found = Runner(make_flatbuffer(quantised=True)).probabilities(pixels)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found * 256, np.rint(found * 256))
    np.testing.assert_allclose(found, expected(pixels, tests), atol=0.51 / 256)


@pytest.mark.parametrize("count", [1, 2, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 5])
@pytest.mark.parametrize("quantised", [False, True])
def test_batches_answer_what_single_pictures_do(make_flatbuffer, quantised, count):
    flatbuffer, pixels = make_flatbuffer(quantised=quantised), noise(count)
    runner = Runner(flatbuffer)
    alone = np.concatenate([Runner(flatbuffer).probabilities(pixels[i : i + 1]) for i in range(count)])
    together = runner.probabilities(pixels)
    np.testing.assert_allclose(together, alone, rtol=0, atol=0 if quantised else 1e-6)
    np.testing.assert_array_equal(runner.probabilities(pixels), together)


def test_batches_of_changing_size_keep_their_answers(tiny_flatbuffer, tests):
    runner = Runner(tiny_flatbuffer)
    for count in (7, 1, 40, 3, 33):
        pixels = noise(count, seed=count)
        np.testing.assert_allclose(runner.probabilities(pixels), expected(pixels, tests), atol=1e-6)


def test_no_pictures_have_no_answers(tiny_flatbuffer):
    assert Runner(tiny_flatbuffer).probabilities(noise(0)).shape == (0, 4)


def test_a_graph_with_a_fixed_batch_is_run_one_by_one(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE)
    flat = reshape(graph, first, [1, 192], [1, 192])
    runner = Runner(graph.packed(first, softmax(graph, flat, [1, 192])))
    pixels = noise(BATCH + 2)
    alone = np.concatenate([runner.probabilities(pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_array_equal(runner.probabilities(pixels), alone)
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-5)


def test_a_graph_that_folds_a_batch_into_one_row_is_run_one_by_one(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE)
    row = reshape(graph, mean(graph, first), [1, -1], [1, 3])
    runner = Runner(graph.packed(first, softmax(graph, row, [1, 3])))
    found = runner.probabilities(noise(9))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)  # together they would add up to 1/9


def test_the_result_is_a_copy(tiny_flatbuffer):
    runner = Runner(tiny_flatbuffer)
    first = runner.probabilities(noise(3))
    before = first.copy()
    runner.probabilities(noise(3, seed=9))
    np.testing.assert_array_equal(first, before)
    first[:] = 7
    np.testing.assert_array_equal(runner.probabilities(noise(3)), before)


def test_pixels_that_do_not_lie_in_a_row_are_read_rightly(tiny_flatbuffer, make_flatbuffer, tests):
    for flatbuffer, tolerance in ((tiny_flatbuffer, 1e-6), (make_flatbuffer(quantised=True), 0.51 / 256)):
        turned = noise(4).transpose(0, 2, 1, 3)[::2]
        found = Runner(flatbuffer).probabilities(turned)
        np.testing.assert_allclose(found, expected(turned, tests), atol=tolerance)


def test_pixels_are_left_as_they_were(tiny_flatbuffer):
    pixels = noise(3)
    pixels.flags.writeable = False
    Runner(tiny_flatbuffer).probabilities(pixels)


# --- from bytes to the input tensor -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point"),
    [(KINDS.UINT8, 1.0, 0), (KINDS.INT8, 1.0, -128), (KINDS.INT16, 1 / 128, 0)],
    ids=["uint8", "int8", "int16"],
)
def test_an_integer_input_means_the_bytes_0_to_255(new_graph, kind, scale, zero_point):
    graph = new_graph()
    first, image = first_tensors(graph, kind, scale=scale, zero_point=zero_point)
    runner = Runner(graph.packed(first, mean(graph, image)))
    pixels = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (0, 1, 127, 128, 254, 255)])
    found = runner.probabilities(pixels)
    wanted = np.array([0, 1, 127, 128, 254, 255])[:, np.newaxis]
    np.testing.assert_allclose(found, np.repeat(wanted, 3, axis=1), atol=1e-4)


@pytest.mark.parametrize("low_high", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-2.1, 2.6), (1.0, 0.0)])
def test_the_input_range_says_what_a_float_model_takes(new_graph, low_high):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE)
    runner = Runner(graph.packed(first, mean(graph, first)), input_range=low_high)
    every_byte = np.repeat(np.arange(256, dtype=np.uint8), 192).reshape(256, 8, 8, 3)
    wanted = np.linspace(*low_high, 256)
    np.testing.assert_allclose(runner.probabilities(every_byte)[:, 0], wanted, rtol=1e-5, atol=1e-6)


def test_a_normalised_integer_input_is_reached_through_its_scale(new_graph):
    graph = new_graph()
    first, image = first_tensors(graph, KINDS.INT8, scale=2 / 255, zero_point=-1)
    runner = Runner(graph.packed(first, mean(graph, image)), input_range=(-1.0, 1.0))
    found = runner.probabilities(np.stack([np.full((8, 8, 3), value, np.uint8) for value in (0, 128, 255)]))
    np.testing.assert_allclose(found[:, 0], [-1, 0, 1], atol=1.5 / 255)


def test_values_beyond_an_integer_input_stop_at_its_ends_and_do_not_wrap(new_graph):
    graph = new_graph()
    first, image = first_tensors(graph, KINDS.INT8, scale=0.5, zero_point=-128)
    runner = Runner(graph.packed(first, mean(graph, image)))
    found = runner.probabilities(np.stack([np.full((8, 8, 3), value, np.uint8) for value in (0, 100, 200, 255)]))
    np.testing.assert_allclose(found[:, 0], [0, 100, 127.5, 127.5])


def test_a_uint8_input_without_a_scale_takes_the_bytes(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE, KINDS.UINT8)
    image = graph.operator(
        OPS.CAST,
        [first],
        graph.tensor("image", SHAPE),
        schema.BuiltinOptions.CastOptions,
        schema.CastOptionsT(),
    )
    runner = Runner(graph.packed(first, mean(graph, image)))
    np.testing.assert_allclose(runner.probabilities(np.full((1, 8, 8, 3), 200, np.uint8)), [[200, 200, 200]])


def test_the_tensors_are_described(make_flatbuffer):
    runner = Runner(make_flatbuffer(quantised=True))
    assert (runner.input.name, runner.input.shape, runner.input.dtype) == ("pixels", (1, 8, 8, 3), "uint8")
    assert (runner.input.scale, runner.input.zero_point) == (1.0, 0)
    assert (runner.output.shape, runner.output.dtype, runner.output.scale) == ((1, 4), "uint8", 1 / 256)
    assert Runner(make_flatbuffer(quantised=False)).input.scale is None


# --- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((1, 8, 8, 1), np.uint8),
        np.zeros((1, 8, 9, 3), np.uint8),
    ],
)
def test_pixels_of_another_type_or_shape_are_the_callers_mistake(tiny_flatbuffer, pixels):
    with pytest.raises(ValueError, match=r"Expected uint8 of shape \('n', 8, 8, 3\), got"):
        Runner(tiny_flatbuffer).probabilities(pixels)


def test_graphs_that_are_no_image_classifiers_say_why(new_graph):
    two = new_graph()
    first = two.tensor("pixels", SHAPE)
    given = mean(two, first)
    with pytest.raises(ModelError, match="has 1 inputs and 2 outputs"):
        Runner(two.packed(first, given, softmax(two, given, [1, 3])))
    flat = new_graph()
    first = flat.tensor("numbers", [1, 5])
    with pytest.raises(ModelError, match=r"input has shape \(1, 5\)\. Expected \(1, height, width, 3\)"):
        Runner(flat.packed(first, softmax(flat, first, [1, 5])))
    map_ = new_graph()
    first = map_.tensor("pixels", SHAPE)
    with pytest.raises(ModelError, match=r"output has shape \(1, 8, 8, 3\)\. Expected \(1, classes\)"):
        Runner(map_.packed(first, softmax(map_, first, SHAPE)))


def test_a_scalar_output_is_refused(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE)
    axes = graph.tensor("axes", [4], KINDS.INT32, values=np.arange(4, dtype=np.int32))
    options = schema.BuiltinOptions.ReducerOptions
    last = graph.operator(OPS.MEAN, [first, axes], graph.tensor("mean", []), options, schema.ReducerOptionsT())
    with pytest.raises(ModelError, match=r"output has shape \(\)\. Expected \(1, classes\)"):
        Runner(graph.packed(first, last))


def test_an_int8_input_without_a_scale_is_refused(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE, KINDS.INT8)
    image = graph.operator(
        OPS.CAST,
        [first],
        graph.tensor("image", SHAPE),
        schema.BuiltinOptions.CastOptions,
        schema.CastOptionsT(),
    )
    with pytest.raises(ModelError, match="input is int8 without a scale"):
        Runner(graph.packed(first, mean(graph, image)))


def test_an_input_of_another_type_is_refused(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE, KINDS.INT32)
    image = graph.operator(OPS.CAST, [first], graph.tensor("image", SHAPE))
    with pytest.raises(ModelError, match=r"Tensor 'pixels' is int32\. Expected float32, uint8 or int8"):
        Runner(graph.packed(first, mean(graph, image)))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_graph_that_is_cut_off_is_a_model_error(tiny_flatbuffer, share):
    with pytest.raises(ModelError, match=r"flatbuffer is damaged: .+ at byte \d+\. Get the file again"):
        Runner(tiny_flatbuffer[: int(len(tiny_flatbuffer) * share)])


def test_a_graph_that_litert_refuses_is_a_model_error(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE)
    given = mean(graph, first)
    graph.codes[-1].version = 60  # later than any that this LiteRT has
    with pytest.raises(ModelError, match=r"cannot be loaded by LiteRT \(.*version"):
        Runner(graph.packed(first, given))


def test_a_graph_is_checked_before_litert_sees_it(new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", SHAPE)
    graph.tensor("lost", [1, 3])  # no operator and no buffer fills it
    wanted = [mean(graph, first), 1]
    options = schema.BuiltinOptions.AddOptions
    given = graph.operator(OPS.ADD, wanted, graph.tensor("sum", [1, 3]), options, schema.AddOptionsT())
    with pytest.raises(ModelError, match=r"operator 1 \(ADD\) takes tensor 1, which no operator before it gives"):
        Runner(graph.packed(first, given))


# --- the process --------------------------------------------------------------------------------------------


def test_threads_that_share_a_runner_get_their_own_answers(tiny_flatbuffer, tests):
    runner = Runner(tiny_flatbuffer)
    problems = []

    def ask(seed):
        pixels = noise(1 + seed % 5, seed=seed)
        wanted = expected(pixels, tests)
        for _ in range(30):
            if np.abs(runner.probabilities(pixels) - wanted).max() > 1e-5:
                problems.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_two_native_threads_answer_as_one_does(tiny_flatbuffer):
    one, two = (Runner(tiny_flatbuffer, num_threads=n).probabilities(noise(5)) for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_loading_a_model_writes_nothing(tiny_model_path, tmp_path):
    script = (
        "import sys\n"
        "from edgeproof.runtime import Classifier\n"
        "Classifier(sys.argv[1])\n"
        "print('still heard', file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", script, tiny_model_path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "still heard\n")


def test_a_model_loads_where_stderr_was_closed(tiny_model_path):
    script = "import sys; from edgeproof.runtime import Classifier; print(len(Classifier(sys.argv[1]).labels))"
    command = ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", script, tiny_model_path]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout == "4\n"


def test_reference_kernels_answer_as_the_others_do(tiny_flatbuffer):
    pixels = np.random.default_rng(3).integers(0, 256, (4, 8, 8, 3), np.uint8)
    found = [Runner(tiny_flatbuffer, kernels=kernels).probabilities(pixels) for kernels in ("xnnpack", "reference")]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_a_runner_says_how_long_loading_took(tiny_flatbuffer):
    loading = Runner(tiny_flatbuffer).loading
    assert loading.interpreter_ms > 0
    assert loading.allocate_ms > 0
