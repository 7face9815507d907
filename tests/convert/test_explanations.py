"""The likely cause of a failed gate: seeded faults, each named first."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs the train extra (TensorFlow)")
from msgspec import structs

from edgeproof.convert import explanations, relabelling, verification
from edgeproof.convert import references as reference_answers
from edgeproof.convert.explanations import Case
from edgeproof.convert.gates import Gates
from edgeproof.convert.verification import Evidence
from edgeproof.runtime import Classifier, graph, labels, modelfile
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.foreign import Foreign
from edgeproof.runtime.pixels import Preprocessing, Resize

GATES = Gates(max_drop=5.0)


def repacked(source, place, *, flatbuffer=None, names=None, **changes):
    """A file with other parts and a contract that fits them: nothing but its answers gives it away."""
    file = modelfile.read(source)
    content = file.flatbuffer if flatbuffer is None else flatbuffer
    texts = labels.text(names or file.labels).encode()
    contract = structs.replace(
        file.contract, labels_sha256=contracts.sha256(texts), model_sha256=contracts.sha256(content), **changes
    )
    attachments = {
        **file.attachments,
        contracts.LABELS_NAME: texts,
        contracts.CONTRACT_NAME: contracts.encode(contract),
    }
    place.write_bytes(modelfile.pack(content, attachments))
    return place


def swapped(names, one, other):
    """Labels of which two stand in each other's place."""
    turned = list(names)
    turned[one], turned[other] = names[other], names[one]
    return tuple(turned)


def with_bgr(source):
    """The flatbuffer with the channels of its first layer reversed."""
    read = graph.Graph.read(modelfile.read(source).flatbuffer)
    first = next(i for i in range(len(read.operators)) if read.kind(i) == "CONV_2D")
    kernel = int(read.operators[first].inputs[1])
    read.set_constant(kernel, read.constant(kernel)[..., ::-1])
    return read.packed()


def unrecorded(source, place):
    """A file's graph alone, as of another tool: its metadata must not promise a contract."""
    place.write_bytes(modelfile.read(source).flatbuffer.replace(b"edgeproof.json", b"something.json"))
    return place


def judged(path, evidence, gates=GATES, **options):
    """The only result of a file."""
    return verification.verify([path], evidence, gates, **options).results[0]


# --- the three of the acceptance, on a small real training ------------------------------------------------------


@pytest.fixture(scope="module")
def evidence(colour_run):
    return reference_answers.of_run(colour_run.folder)


@pytest.mark.parametrize("recipe", ["float32", "int8"])
def test_a_swapped_pair_of_labels_is_the_first_cause(recipe, colour_exports, evidence, tmp_path):
    source = colour_exports / f"colours-{recipe}.tflite"
    names = swapped(modelfile.read(source).labels, 0, 2)
    result = judged(repacked(source, tmp_path / "m.tflite", names=names), evidence)
    assert not result.accepted
    first = result.explanations[0]
    assert first.id == "labels"
    assert "'blue'" in first.sentence
    assert "'grey'" in first.sentence
    assert first.agreement_after == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("recipe", ["float32", "int8"])
def test_reversed_channels_are_the_first_cause(recipe, colour_exports, evidence, tmp_path):
    source = colour_exports / f"colours-{recipe}.tflite"
    result = judged(repacked(source, tmp_path / "m.tflite", flatbuffer=with_bgr(source)), evidence)
    assert not result.accepted
    assert result.explanations[0].id == "channel-order"
    assert result.explanations[0].agreement_after > result.explanations[0].agreement_before + 0.3


@pytest.fixture(scope="module")
def later(colour_run, tmp_path_factory):
    """The reference after the export, some steps of training its last layer on: the file is of another epoch."""
    import keras

    model = keras.models.load_model(colour_run.model)
    last, test = model.layers[-1], colour_run.read_pictures()
    pixels = test.preprocessing.finished(test.stored).astype(np.float32)
    features = np.asarray(keras.Model(model.inputs, last.input).predict_on_batch(pixels))
    kernel, bias = last.get_weights()
    # On classes that are wrong for half of them, so that the answers change on these easy pictures, too.
    wanted = np.eye(4)[test.classes // 2 * 2]

    def answers():
        logits = features @ kernel + bias
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    for _ in range(40):
        error = (answers() - wanted) / len(wanted)
        kernel, bias = kernel - 0.2 * features.T @ error, bias - 0.2 * error.sum(axis=0)
    last.set_weights([kernel, bias])
    path = tmp_path_factory.mktemp("later") / "model.keras"
    model.save(path)
    return Evidence(test, answers().astype(np.float32), path)


@pytest.mark.parametrize("recipe", ["float32", "int8"])
@pytest.mark.parametrize("recorded", [True, False])
def test_another_epoch_is_the_first_cause_with_a_record_and_without(recipe, recorded, colour_exports, later, tmp_path):
    path = colour_exports / f"colours-{recipe}.tflite"
    if not recorded:
        path = unrecorded(path, tmp_path / "m.tflite")
    said = Foreign(labels=modelfile.read(colour_exports / "colours-int8.tflite").labels, input_range=(0.0, 255.0))
    # Without a record, an integer file of another epoch fails by its answers alone.
    result = judged(path, later, Gates(max_drop=5.0, min_agreement=0.9), foreign=said if not recorded else None)
    assert not result.accepted
    assert result.explanations[0].id == "weights"
    found = result.explanations[0].evidence
    assert ("keras_sha256_of_the_file" in found) is recorded
    assert found["head_relative_distance"] > 0.01


# --- the others, on the smallest model there is ---------------------------------------------------------------------


@pytest.fixture
def tiny(tiny_model_path, tiny_pictures):
    """The evidence that the tiny file itself gives."""
    return Evidence(tiny_pictures, verification.outputs([Classifier(tiny_model_path)], tiny_pictures))


@pytest.mark.parametrize("span", [(0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5)])
def test_a_wrong_input_range_is_named_with_the_right_one(span, tiny, tiny_flatbuffer, tmp_path):
    (tmp_path / "plain.tflite").write_bytes(tiny_flatbuffer)
    said = Foreign(labels=tiny.test.labels, input_range=span)
    first = judged(tmp_path / "plain.tflite", tiny, foreign=said).explanations[0]
    assert first.id == "input-range"
    assert "takes 0 to 255 for the bytes 0 to 255" in first.sentence or "takes -128 to 127" in first.sentence
    assert first.agreement_after == 1.0


def test_two_faults_at_once_are_named_together(tiny, make_flatbuffer, tmp_path):
    weights = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2], [0, 0, 0]], np.float32) / 32
    content = make_flatbuffer(quantised=False, weights=weights[:, ::-1].copy())
    (tmp_path / "plain.tflite").write_bytes(content)
    said = Foreign(labels=tiny.test.labels, input_range=(0.0, 1.0))
    ids = [each.id for each in judged(tmp_path / "plain.tflite", tiny, foreign=said).explanations]
    assert ids[0] == "input-range-and-channel-order"
    assert "channel-order" not in ids


def test_a_contract_that_resizes_in_another_way_is_named(tiny_model_path, tiny_pictures, tmp_path):
    """Pictures of single bright pixels, which another resampling spreads differently."""
    draw = np.random.default_rng(0)
    rough = draw.integers(0, 256, tiny_pictures.stored.shape).astype(np.uint8)
    pictures = tiny_pictures.__class__(**{**vars(tiny_pictures), "stored": rough})
    file = modelfile.read(tiny_model_path)
    case = Case(
        file=file,
        outputs=np.roll(verification.outputs([Classifier(tiny_model_path)], pictures), 1, axis=1),
        reference=verification.outputs([Classifier(tiny_model_path)], pictures),
        pictures=pictures,
        given_range=(0.0, 255.0),
        relabelling=None,
        keras_model=None,
    )
    other = Preprocessing(steps=(Resize(width=4, height=4), Resize(width=8, height=8, resample="nearest")))
    told = structs.replace(file.contract, preprocessing=other)
    resized = Case(**{**vars(case), "file": modelfile.ModelFile(file.path, file.flatbuffer, {}, told, file.labels)})
    assert explanations.explain(resized)[0].id == "resampling"


def test_a_float_file_that_nothing_explains_is_said_to_be_unexplained(tiny, tiny_model_path):
    answers = np.roll(tiny.outputs, 5, axis=0)  # half of them of other pictures
    file = modelfile.read(tiny_model_path)
    case = Case(file, answers, answers[::-1].copy(), tiny.test, (0.0, 255.0), None, None)
    (only,) = explanations.explain(case)
    assert (only.id, only.agreement_after, only.images) == ("unexplained", None, 40)


def test_quantisation_is_what_remains_of_an_integer_file(colour_exports, evidence):
    path = colour_exports / "colours-int8.tflite"
    answers = np.roll(evidence.outputs, 1, axis=0)  # of other pictures: nothing explains them
    moved = relabelling.found(answers, evidence.outputs, evidence.test.labels)
    case = Case(modelfile.read(path), answers, evidence.outputs, evidence.test, (0.0, 255.0), moved, None)
    last = explanations.explain(case)[-1]
    assert last.id == "quantisation"
    assert last.evidence["integer_share"] > 0.9


# --- the three of the acceptance, on all of CIFAR-100 --------------------------------------------------------------


@pytest.mark.data
def test_on_cifar100_the_three_faults_are_each_named_first(tmp_path, capsys):
    """Needs `make cifar100` and `make stock`; prints what docs/results.md holds."""
    runs = Path(os.environ.get("EDGEPROOF_RUNS", "runs"))
    run, other = runs / "cifar100", runs / "stock" / "recipes" / "stock-recipe-float32.tflite"
    exported = {
        recipe: run / "export" / f"cifar100-mobilenetv2-100-96-{recipe}.tflite" for recipe in ("float32", "int8")
    }
    if not other.is_file() or not all(path.is_file() for path in exported.values()):
        pytest.skip("needs runs/cifar100 and runs/stock (make cifar100 recipes)")
    paths = {}
    for recipe, source in exported.items():
        names = swapped(modelfile.read(source).labels, 7, 50)
        paths[repacked(source, tmp_path / f"labels-{recipe}.tflite", names=names)] = "labels"
        paths[repacked(source, tmp_path / f"bgr-{recipe}.tflite", flatbuffer=with_bgr(source))] = "channel-order"
    paths[repacked(other, tmp_path / "weights-recorded.tflite")] = "weights"
    paths[unrecorded(other, tmp_path / "weights-unrecorded.tflite")] = "weights"
    evidence = reference_answers.of_run(run)
    said = Foreign(labels=modelfile.read(other).labels, input_range=(0.0, 255.0))
    found = verification.verify(list(paths), evidence, GATES, foreign=said)
    with capsys.disabled():
        for result in found.results:
            first, drop = result.explanations[0], result.verification.drop_points
            print(result.file, f"{drop:.2f}", [each.gate for each in result.breaches], first.id, first.sentence)
            print("  ", first.agreement_before, first.agreement_after, first.evidence)
    assert not any(result.accepted for result in found.results)
    assert [result.explanations[0].id for result in found.results] == list(paths.values())


def test_a_reference_in_no_known_format_stops_nothing(tiny, tiny_model_path, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("x", "")
    known = Evidence(tiny.test, tiny.outputs[:, ::-1].copy(), tmp_path / "m.keras")
    assert judged(tiny_model_path, known).explanations[0].id == "labels"
