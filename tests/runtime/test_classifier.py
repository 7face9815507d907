import asyncio
import gc
import io
import weakref
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image

from edgeproof.runtime import Classifier, DataError, ModelError, Prediction, modelfile
from edgeproof.runtime.pixels import Preprocessing

LABELS = ("red", "green", "blue", "grey")
GREEN = (40, 200, 40)


def picture(colour=GREEN, size=(20, 12)):
    return Image.new("RGB", size, colour)


@pytest.fixture
def classifier(tiny_model_path):
    return Classifier(tiny_model_path)


@pytest.fixture
def foreign(tiny_flatbuffer, tmp_path):
    """A file of another tool, with attachments when they are given."""

    def make(flatbuffer=tiny_flatbuffer, **attachments):
        path = tmp_path / "foreign.tflite"
        named = {name.replace("_", "."): content for name, content in attachments.items()}
        path.write_bytes(modelfile.pack(flatbuffer, named) if named else flatbuffer)
        return path

    return make


# --- a file of edgeproof's own ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["tiny_model_path", "tiny_int8_path"])
@pytest.mark.parametrize(("label", "colour"), [("red", (200, 40, 40)), ("green", GREEN), ("grey", (99, 99, 99))])
def test_a_picture_gets_its_label(path, label, colour, request):
    best = Classifier(request.getfixturevalue(path)).classify(picture(colour))[0]
    assert best.label == label == LABELS[best.class_index]
    assert best.probability > 0.5


def test_a_file_with_a_contract_needs_nothing_else_and_assumes_nothing(classifier):
    assert classifier.labels == LABELS
    assert classifier.preprocessing == classifier.file.contract.preprocessing
    assert classifier.assumptions == ()


def test_classify_is_best_of_the_probabilities_of_the_pixels(classifier):
    pixels = classifier.preprocessing.pixels(picture())
    probabilities = classifier.probabilities(pixels[np.newaxis])[0]
    assert classifier.classify(picture(), top=3) == classifier.best(probabilities, top=3)


def test_every_way_to_give_a_picture_has_the_same_answer(classifier, tmp_path):
    content = io.BytesIO()
    picture().save(content, "PNG")
    path = tmp_path / "green.png"
    path.write_bytes(content.getvalue())
    answers = {
        classifier.classify(given) for given in (path, str(path), content.getvalue(), picture(), np.asarray(picture()))
    }
    assert len(answers) == 1


def test_the_answers_are_sorted_add_up_to_one_and_are_plain_python(classifier):
    answers = classifier.classify(picture())
    assert [type(value) for value in (answers[0].label, answers[0].probability, answers[0].class_index)] == [
        str,
        float,
        int,
    ]
    probabilities = [answer.probability for answer in answers]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert {answer.label for answer in answers} == set(LABELS)


@pytest.mark.parametrize(("top", "count"), [(1, 1), (3, 3), (4, 4), (5, 4), (1000, 4)])
def test_top_says_how_many_answers_there_are(classifier, top, count):
    assert len(classifier.classify(picture(), top=top)) == count


@pytest.mark.parametrize("top", [0, -1])
def test_fewer_than_one_answer_is_the_callers_mistake(classifier, top):
    with pytest.raises(ValueError, match=f"Expected top >= 1, got {top}"):
        classifier.classify(picture(), top=top)


def test_of_equal_probabilities_the_lower_class_comes_first(classifier):
    answers = classifier.best(np.array([0.1, 0.4, 0.1, 0.4], np.float32))
    assert [answer.class_index for answer in answers] == [1, 3, 0, 2]
    assert answers[0] == Prediction("green", pytest.approx(0.4), 1)


def test_the_outputs_are_copies(classifier):
    pixels = classifier.preprocessing.pixels(picture())[np.newaxis]
    first = classifier.probabilities(pixels)
    before = first.copy()
    classifier.probabilities(np.zeros_like(pixels))
    np.testing.assert_array_equal(first, before)
    first[:] = 0
    np.testing.assert_array_equal(classifier.probabilities(pixels), before)


def test_two_classifiers_do_not_disturb_each_other(tiny_model_path, tiny_int8_path):
    one, other = Classifier(tiny_model_path), Classifier(tiny_int8_path)
    before = one.classify(picture())
    other.classify(picture((0, 0, 255)))
    assert one.classify(picture()) == before


def test_what_is_no_picture_is_a_data_error(classifier, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        classifier.classify(tmp_path / "gone.png")


def test_labels_of_ones_own_take_the_place_of_the_files(tiny_model_path):
    classifier = Classifier(tiny_model_path, labels=["rot", "grün", "blau", "grau"])
    assert classifier.classify(picture())[0].label == "grün"


def test_an_input_range_contradicts_a_contract(tiny_model_path):
    with pytest.raises(ModelError, match=r"carries its own preprocessing\. Leave --input-range away"):
        Classifier(tiny_model_path, input_range=(0, 1))


def test_a_label_too_many_or_too_few_is_refused(tiny_model_path, tiny_flatbuffer, make_packed):
    with pytest.raises(ModelError, match=r"has 4 outputs, but there are 3 labels\. Give the right labels"):
        Classifier(tiny_model_path, labels=["a", "b", "c"])
    tiny_model_path.write_bytes(make_packed(tiny_flatbuffer, quantised=False, names=(*LABELS, "white")))
    with pytest.raises(ModelError, match="has 4 outputs, but there are 5 labels"):
        Classifier(tiny_model_path)


def test_a_changed_model_is_refused(tiny_model_path):
    content = bytearray(tiny_model_path.read_bytes())
    content[600] ^= 1
    tiny_model_path.write_bytes(content)
    with pytest.raises(ModelError, match="does not match its checksum"):
        Classifier(tiny_model_path)


def test_a_contract_that_names_another_input_size_is_refused(tiny_model_path):
    found = modelfile.read(tiny_model_path)
    other = found.attachments["edgeproof.json"].replace(b'"width": 8', b'"width": 9')
    assert other != found.attachments["edgeproof.json"]
    packed = modelfile.pack(found.flatbuffer, {**found.attachments, "edgeproof.json": other})
    tiny_model_path.write_bytes(packed)
    with pytest.raises(ModelError, match=r"takes \(8, 8\) pixels, but its contract says \(8, 9\)"):
        Classifier(tiny_model_path)


def test_a_file_cut_off_anywhere_is_a_model_error(tiny_model_path):
    content = tiny_model_path.read_bytes()
    for length in range(0, len(content), 37):
        tiny_model_path.write_bytes(content[:length])
        with pytest.raises(ModelError, match=r"tiny-float32\.tflite"):
            Classifier(tiny_model_path)


# --- a file of another tool's -------------------------------------------------------------------------------


def test_another_tools_file_runs_with_labels_and_a_range_and_says_what_it_assumes(foreign):
    classifier = Classifier(foreign(), labels=LABELS, input_range=(0, 255))
    assert classifier.classify(picture())[0].label == "green"
    assert classifier.assumptions == (
        "channels in the order RGB",
        "pictures stretched to 8×8 with a bilinear filter",
        "bytes 0 to 255 stand for 0 to 255",
        "labels in the order of the outputs",
    )


def test_another_tools_own_labels_are_used(foreign):
    path = foreign(labels_txt=b"r\ng\nb\nx\n")
    assert Classifier(path, input_range=(0, 255)).classify(picture())[0].label == "g"
    assert Classifier(path, input_range=(0, 255), labels=LABELS).labels == LABELS


def test_without_labels_another_tools_file_is_refused(foreign):
    with pytest.raises(ModelError, match=r"foreign\.tflite holds no edgeproof contract and no labels.+Give --labels"):
        Classifier(foreign(), input_range=(0, 255))


def test_without_a_range_a_float_input_is_refused(foreign):
    with pytest.raises(ModelError, match=r"takes floats of an unknown range\. Give --input-range, such as -1,1"):
        Classifier(foreign(), labels=LABELS)


def test_the_range_is_what_the_model_sees(foreign):
    bright = Classifier(foreign(), labels=LABELS, input_range=(0, 255)).classify(picture())[0]
    dim = Classifier(foreign(), labels=LABELS, input_range=(0, 1)).classify(picture())[0]
    assert (bright.label, dim.label) == ("green", "grey")


def test_a_uint8_input_needs_no_range(foreign, make_flatbuffer):
    classifier = Classifier(foreign(make_flatbuffer(quantised=True)), labels=LABELS)
    assert classifier.classify(picture())[0].label == "green"
    assert "the bytes go in as they are" in classifier.assumptions


def test_a_range_that_is_given_for_an_integer_input_is_used_and_said(foreign, make_flatbuffer):
    path = foreign(make_flatbuffer(quantised=True))
    classifier = Classifier(path, labels=LABELS, input_range=(0, 1))
    assert classifier.classify(picture())[0].label == "grey"
    assert "bytes 0 to 255 stand for 0 to 1" in classifier.assumptions


def test_the_wrong_number_of_labels_for_another_tools_file_is_refused(foreign):
    with pytest.raises(ModelError, match="has 4 outputs, but there are 2 labels"):
        Classifier(foreign(), labels=["a", "b"], input_range=(0, 255))


def test_an_int16_input_needs_a_range_because_no_custom_tells_one(foreign, new_graph):
    graph = new_graph()
    first = graph.tensor("pixels", [1, 1, 4, 3], schema.TensorType.INT16, scale=1 / 32768)
    image = graph.operator(schema.BuiltinOperator.DEQUANTIZE, [first], graph.tensor("image", [1, 1, 4, 3]))
    row = graph.tensor("row", [2], schema.TensorType.INT32, values=np.array([1, 12], np.int32))
    last = graph.operator(schema.BuiltinOperator.RESHAPE, [image, row], graph.tensor("out", [1, 12]))
    path = foreign(graph.packed(first, last))
    labels = [str(number) for number in range(12)]
    with pytest.raises(ModelError, match="takes int16 of an unknown range"):
        Classifier(path, labels=labels)
    white = Classifier(path, labels=labels, input_range=(0, 0.5)).classify(picture((255, 255, 255)))
    assert white[0].probability == pytest.approx(0.5, abs=1e-4)


# --- many pictures, many threads ------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path, tiny_pictures):
    """Forty PNG files of four colours, with one in the middle that is none."""
    paths = []
    for number, pixels in enumerate(tiny_pictures.stored):
        paths.append(tmp_path / f"{number:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    paths.insert(20, tmp_path / "bad.png")
    paths[20].write_bytes(b"no picture")
    return paths


def test_many_are_labelled_in_order_like_one_by_one_and_a_bad_one_stops_nothing(tiny_int8_path, files):
    classifier = Classifier(tiny_int8_path)
    found = list(classifier.classify_many(files, top=2, workers=3))
    assert [result.picture for result in found] == files
    assert "cannot be decoded" in found[20].error
    assert found[20].predictions == ()
    for result in found[:20] + found[21:]:
        assert result.error == ""
        assert result.predictions == classifier.classify(result.picture, top=2)
    assert len({result.predictions[0].label for result in found if result.predictions}) == 4


def test_the_first_of_many_comes_before_the_source_ends(tiny_model_path, files):
    camera = Queue()
    found = Classifier(tiny_model_path).classify_many(iter(camera.get, None))
    camera.put(files[0])
    assert next(found).predictions[0].label == "red"  # would hang otherwise
    camera.put(None)
    assert list(found) == []


def test_threads_that_share_a_classifier_get_the_serial_answers(tiny_model_path, tiny_pictures):
    classifier = Classifier(tiny_model_path)
    pixels = classifier.preprocessing.finished(tiny_pictures.stored)
    serial = np.concatenate([classifier.probabilities(one[np.newaxis]) for one in pixels])
    order = np.random.default_rng(1).integers(0, len(pixels), 3000)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: classifier.probabilities(pixels[i][np.newaxis])[0], order))
    np.testing.assert_array_equal(np.stack(found), serial[order])


def test_an_event_loop_goes_on_while_pictures_are_labelled(tiny_model_path, files):
    classifier = Classifier(tiny_model_path)

    async def frames():
        for path in files[:5]:
            await asyncio.sleep(0)
            yield path

    async def both():
        ticks = []
        kept = [result async for result in classifier.stream(files)]
        async for result in classifier.stream(frames()):
            ticks.append(result)
        return kept, ticks

    many, few = asyncio.run(both())
    assert [result.picture for result in many] == files
    assert [result.predictions for result in few] == [result.predictions for result in many[:5]]


def test_probabilities_are_a_copy_of_their_own(tiny_model_path, tiny_pictures):
    classifier = Classifier(tiny_model_path)
    pixels = classifier.preprocessing.finished(tiny_pictures.stored[:20])
    first = classifier.probabilities(pixels[:1])
    before = first.copy()
    classifier.probabilities(pixels[10:11])
    np.testing.assert_array_equal(first, before)
    assert first.base is None or first.flags.owndata


def test_a_classifier_that_is_let_go_takes_its_interpreters_along(tiny_model_path):
    classifier = Classifier(tiny_model_path)
    runner = weakref.ref(classifier._runners.all[0])
    gc.disable()  # a cycle would keep a megabyte until somebody looks
    try:
        del classifier
        assert runner() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("options", "exact"), [({}, False), ({"exact": True}, True)])
def test_large_jpegs_are_decoded_at_full_size_where_that_is_asked_for(tiny_model_path, options, exact, monkeypatch):
    seen, original = [], Preprocessing.pixels

    def pixels(self, picture, *, exact=True):
        seen.append(exact)
        return original(self, picture, exact=exact)

    monkeypatch.setattr(Preprocessing, "pixels", pixels)
    with Classifier(tiny_model_path, **options) as classifier:
        classifier.classify(np.zeros((9, 9, 3), np.uint8))
        list(classifier.classify_many([np.zeros((9, 9, 3), np.uint8)]))
    assert seen == [exact, exact]
