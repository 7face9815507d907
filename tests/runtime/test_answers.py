import time
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from edgeproof.runtime import Classifier, ModelError, answers, modelfile
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.pixels import Preprocessing, Resize


def one(path, pictures):
    """The outputs of one file by one classifier."""
    return answers.outputs([[Classifier(path)]], pictures)[0]


def test_outputs_come_in_the_order_of_the_pictures(tiny_model_path, tiny_pictures):
    found = one(tiny_model_path, tiny_pictures)
    assert found.shape == (40, 4)
    classifier = Classifier(tiny_model_path)
    for row, stored in zip(found, tiny_pictures.stored, strict=True):
        pixels = tiny_pictures.preprocessing.pixels(stored)[np.newaxis]
        np.testing.assert_allclose(row, classifier.probabilities(pixels)[0], atol=1e-6)


def test_several_classifiers_of_one_file_give_what_one_gives_also_on_the_last_part(
    tiny_model_path, tiny_pictures, monkeypatch
):
    monkeypatch.setattr(answers, "BATCH", 3)  # 40 = 13 · 3 + 1
    alone = one(tiny_model_path, tiny_pictures)
    slow, *quick = [Classifier(tiny_model_path) for _ in range(3)]
    monkeypatch.setattr(slow, "probabilities", delayed(slow.probabilities))
    np.testing.assert_array_equal(answers.outputs([[slow, *quick]], tiny_pictures)[0], alone)
    assert len({row.tobytes() for row in alone}) == 40


def delayed(function):
    """The same, later: the others overtake it."""

    def run(pixels):
        time.sleep(0.02)
        return function(pixels)

    return run


def test_several_files_share_the_pixels_of_a_batch_and_keep_their_answers_apart(
    tiny_model_path, tiny_int8_path, tiny_pictures, monkeypatch
):
    alone = [one(path, tiny_pictures) for path in (tiny_model_path, tiny_int8_path)]
    prepared = []
    finished = Preprocessing.finished
    monkeypatch.setattr(
        Preprocessing, "finished", lambda self, stored: prepared.append(len(stored)) or finished(self, stored)
    )
    files = [[Classifier(path) for _ in range(2)] for path in (tiny_model_path, tiny_int8_path)]
    together = answers.outputs(files, tiny_pictures)
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(*together)
    assert prepared == [40]


def test_columns_are_matched_by_name_and_not_by_place(tiny_model_path, tiny_pictures):
    right = one(tiny_model_path, tiny_pictures)
    turned = tiny_pictures.relabelled(tuple(reversed(tiny_pictures.labels)))
    np.testing.assert_array_equal(one(tiny_model_path, turned), right[:, ::-1])


def test_a_file_of_other_labels_or_of_another_size_is_refused(make_packed, tiny_flatbuffer, tiny_pictures, tmp_path):
    names = ("red", "green", "blue", "pink")
    (tmp_path / "other.tflite").write_bytes(make_packed(tiny_flatbuffer, quantised=False, names=names))
    with pytest.raises(ModelError, match=r"other\.tflite and the pictures have other labels \(such as 'grey'\)"):
        one(tmp_path / "other.tflite", tiny_pictures)
    (tmp_path / "right.tflite").write_bytes(make_packed(tiny_flatbuffer, quantised=False))
    larger = replace(tiny_pictures, preprocessing=Preprocessing(steps=(Resize(width=4, height=4),)))
    with pytest.raises(ModelError, match=r"right\.tflite takes \(8, 8\) pixels, the pictures \(4, 4\)"):
        one(tmp_path / "right.tflite", larger)


def test_a_file_whose_contract_resizes_in_another_way_gets_pixels_of_its_own(tiny_model_path, tiny_pictures):
    file = modelfile.read(tiny_model_path)
    nearest = Preprocessing(steps=(Resize(width=4, height=4), Resize(width=8, height=8, resample="nearest")))
    contract = structs.replace(file.contract, preprocessing=nearest)
    attachments = {**file.attachments, contracts.CONTRACT_NAME: contracts.encode(contract)}
    before = one(tiny_model_path, tiny_pictures)
    tiny_model_path.write_bytes(modelfile.pack(file.flatbuffer, attachments))
    found = one(tiny_model_path, tiny_pictures)
    pixels = np.stack([nearest.pixels(picture) for picture in tiny_pictures.stored])
    np.testing.assert_array_equal(found, Classifier(tiny_model_path).probabilities(pixels))
    assert not np.array_equal(found, before)


def test_one_model_answers_all_pictures_in_their_order_over_several_passes(tiny_model_path, tiny_pictures, monkeypatch):
    monkeypatch.setattr(answers, "PASS", 3)
    found = answers.of_one(Classifier(tiny_model_path), tiny_pictures, "One")
    np.testing.assert_allclose(found, one(tiny_model_path, tiny_pictures), atol=1e-6)
