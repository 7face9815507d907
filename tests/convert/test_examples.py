"""Golden examples chosen for a small network of 16×16 pixels that tells four hues apart."""

import numpy as np
import pytest
from msgspec import structs

from edgeproof.convert import examples, interface
from edgeproof.runtime import ConfigError, contract, golden, labels, modelfile, replay
from edgeproof.runtime.classifier import Classifier
from edgeproof.runtime.contract import Contract
from edgeproof.runtime.faults import FAULTS
from edgeproof.runtime.graph import Graph, quantisation
from edgeproof.runtime.interpreter import Runner
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize

HUES = ("first", "second", "third", "fourth")


@pytest.fixture(scope="module")
def pictures(coloured):
    stored = coloured(60, 8, seed=3)
    return LabelledPictures(
        labels=HUES,
        names=tuple(f"{number}.png" for number in range(60)),
        classes=np.arange(60, dtype=np.int64) % 4,
        stored=stored,
        hashes=tuple(contract.sha256(one.tobytes()) for one in stored),
        preprocessing=Preprocessing(steps=(Resize(width=8, height=8), Resize(width=16, height=16))),
    )


@pytest.fixture(scope="module")
def flatbuffer(residual):
    graph = Graph.read(residual(seed=1).packed())
    interface.with_input(graph, "int8")
    interface.with_output(graph, "int8")
    return graph.packed()


@pytest.fixture(scope="module", params=["test", "drawn"])
def chosen(request, flatbuffer, pictures):
    return examples.choose(flatbuffer, pictures, request.param)


@pytest.fixture
def exported(chosen, flatbuffer, pictures, tmp_path):
    """The file with its golden examples, as a classifier."""
    found, files = chosen
    runner, texts = Runner(flatbuffer), labels.text(HUES).encode()
    described = Contract(
        name="hues",
        recipe="int8",
        preprocessing=pictures.preprocessing,
        labels_sha256=contract.sha256(texts),
        model_sha256=contract.sha256(flatbuffer),
        input=runner.input,
        output=runner.output,
        quantisation=quantisation(flatbuffer),
        golden=found,
    )
    path = tmp_path / "hues.tflite"
    attachments = {contract.LABELS_NAME: texts, contract.CONTRACT_NAME: contract.encode(described), **files}
    path.write_bytes(modelfile.pack(flatbuffer, attachments))
    return Classifier(path)


def test_sixteen_pictures_of_four_kinds_and_several_answers_are_chosen(chosen):
    found, files = chosen
    kinds = [example.shows for example in found.examples]
    assert {kind: kinds.count(kind) for kind in kinds} == {"plain": 10, "exif": 2, "alpha": 2, "size": 2}
    assert len({example.label for example in found.examples}) >= 3
    assert len({example.sha256 for example in found.examples}) == 16
    assert sum(map(len, files.values())) <= examples.BUDGET_BYTES


def test_the_choice_depends_on_what_is_given_alone(chosen, flatbuffer, pictures):
    source = "test" if chosen == examples.choose(flatbuffer, pictures, "test") else "drawn"
    assert examples.choose(flatbuffer, pictures, source) == chosen


def test_every_mistake_that_the_file_allows_moves_the_answers_far(chosen):
    found, _ = chosen
    assert set(found.reveals) == {fault.id for fault in FAULTS}
    assert {name: moved for name, moved in found.reveals.items() if moved < 3 * replay.FLOOR} == {}


def test_the_examples_replay_from_the_file_that_carries_them(exported):
    assert replay.replay(exported).sound


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_each_mistake_is_named_by_the_answers_it_gives(fault, exported):
    read = golden.read(exported.file)
    right = replay.shipped(Runner(exported.file.flatbuffer), exported.preprocessing)
    found = replay.judge(exported, replay.Observed(replay.answers(right, fault, read.pictures)))
    assert not found.sound
    # Two mistakes may give the same answers: of bytes scaled to 0…1 and to -1…1 nothing is left alike.
    assert fault.id in {each.id for each in found.tried if each.distance == found.tried[0].distance}


def test_a_zero_point_that_an_application_leaves_out_is_named(exported):
    read = golden.read(exported.file)
    taken, given, runner = exported.file.contract.input, exported.file.contract.output, Runner(exported.file.flatbuffer)
    assert (taken.zero_point, given.zero_point) == (-128, -128)
    pixels = np.stack([exported.preprocessing.pixels(picture) for picture in read.pictures])
    raw = np.concatenate([runner.raw(np.minimum(one, 127).astype(np.int8)[np.newaxis]) for one in pixels])
    found = replay.judge(exported, replay.Observed((raw * np.float32(given.scale)).astype(np.float32)))
    assert found.fault.id == "zero-point"


def test_large_pictures_are_stored_smaller_until_they_fit(coloured, flatbuffer, pictures):
    large = np.repeat(np.repeat(coloured(20, 64, seed=4), 4, axis=1), 4, axis=2)
    noise = np.random.default_rng(0).integers(0, 60, large.shape)
    noisy = (large // 2 + noise).astype(np.uint8)
    steps = (Resize(width=256, height=256), Resize(width=16, height=16))
    test = LabelledPictures(
        labels=HUES,
        names=tuple(map(str, range(20))),
        classes=np.zeros(20, np.int64),
        stored=noisy,
        hashes=tuple(map(str, range(20))),
        preprocessing=Preprocessing(steps=steps),
    )
    _, files = examples.choose(flatbuffer, test)
    assert 50_000 < sum(map(len, files.values())) <= examples.BUDGET_BYTES


def test_an_unknown_source_of_pictures_is_refused():
    assert examples.source("drawn") == "drawn"
    with pytest.raises(ConfigError, match="--golden train: one of test, drawn, none is expected"):
        examples.source("train")


def test_pictures_that_were_exchanged_are_refused(exported, tmp_path):
    files = dict(exported.file.attachments)
    files["golden/00.png"], files["golden/01.png"] = files["golden/01.png"], files["golden/00.png"]
    path = tmp_path / "exchanged.tflite"
    path.write_bytes(modelfile.pack(exported.file.flatbuffer, files))
    with pytest.raises(modelfile.ModelError, match=r"golden/00\.png does not match its checksum"):
        golden.read(modelfile.read(path))


def test_a_table_of_other_rows_is_refused(exported, tmp_path):
    file = exported.file
    table = file.attachments[golden.EXPECTED].decode().splitlines(keepends=True)
    shorter = "".join(table[:-1]).encode()
    changed = structs.replace(file.contract.golden, expected_sha256=contract.sha256(shorter))
    described = contract.encode(structs.replace(file.contract, golden=changed))
    files = {**file.attachments, golden.EXPECTED: shorter, contract.CONTRACT_NAME: described}
    path = tmp_path / "shorter.tflite"
    path.write_bytes(modelfile.pack(file.flatbuffer, files))
    with pytest.raises(modelfile.ModelError, match="16 golden pictures, but 15 rows"):
        golden.read(modelfile.read(path))
