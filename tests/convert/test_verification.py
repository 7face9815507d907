import shutil
import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edgeproof.convert import verification
from edgeproof.convert.verification import Evidence, Summary
from edgeproof.runtime import Classifier, DataError, ModelError
from edgeproof.runtime.contract import digest, sha256
from edgeproof.runtime.foreign import Foreign
from edgeproof.runtime.pixels import Preprocessing, Resize


def rows(*answers, sure=0.7):
    """Outputs of four classes with these answers."""
    outputs = np.full((len(answers), 4), (1 - sure) / 3, np.float32)
    outputs[np.arange(len(answers)), answers] = sure
    return outputs


@pytest.fixture
def five(tiny_pictures):
    """Five pictures of the classes 0, 1, 2, 3, 3."""
    chosen = tiny_pictures.take([0, 10, 20, 30, 31])
    assert chosen.classes.tolist() == [0, 1, 2, 3, 3]
    return chosen


def test_outputs_are_compared_as_by_hand(five):
    reference = rows(0, 1, 2, 3, 0)  # four right
    target = rows(0, 1, 3, 0, 3)  # three right, three as the reference... but for 2, 3 and the last
    found = verification.compare(target, reference, five)
    assert (found.images, found.images_digest) == (5, digest(five.hashes))
    assert (found.reference_top1, found.top1) == (pytest.approx(0.8), pytest.approx(0.6))
    assert found.drop_points == pytest.approx(20)
    assert found.same_answers == pytest.approx(0.4)
    assert found.different_answers == 3
    assert (found.reference_top5, found.top5) == (1, 1)
    assert found.top1_interval[0] < 0.6 < found.top1_interval[1]
    assert found.ties == 0


def test_a_better_file_has_a_negative_drop(five):
    assert verification.compare(rows(0, 1, 2, 3, 3), rows(0, 1, 2, 0, 0), five).drop_points == pytest.approx(-40)


def test_the_same_outputs_differ_in_nothing(five):
    found = verification.compare(rows(0, 1, 2, 3, 3), rows(0, 1, 2, 3, 3), five)
    assert (found.drop_points, found.same_answers, found.different_answers) == (0, 1, 0)
    assert found.largest_margin_of_a_different_answer == 0


def test_the_margin_is_how_sure_keras_was_where_the_file_answers_differently(five):
    reference = np.array([[0.5, 0.4, 0.1, 0]] * 4 + [[0.9, 0.06, 0.04, 0]], np.float32)
    found = verification.compare(rows(0, 1, 0, 2, 0), reference, five)
    assert found.different_answers == 2
    assert found.largest_margin_of_a_different_answer == pytest.approx(0.4)


def test_ties_of_the_file_are_counted(five):
    target = rows(0, 1, 2, 3, 3)
    target[0] = [0.4, 0.4, 0.1, 0.1]
    assert verification.compare(target, rows(0, 1, 2, 3, 3), five).ties == 1


def test_a_file_whose_answers_are_no_numbers_is_no_good_file(five):
    found = verification.compare(np.full((5, 4), np.nan, np.float32), rows(0, 1, 2, 3, 3), five)
    assert (found.top1, found.same_answers, found.drop_points) == (0, 0, 100)


def test_outputs_come_from_the_runtime_in_the_order_of_the_pictures(tiny_model_path, tiny_pictures):
    found = verification.outputs([Classifier(tiny_model_path)], tiny_pictures)
    assert found.shape == (40, 4)
    classifier = Classifier(tiny_model_path)
    for row, stored in zip(found, tiny_pictures.stored, strict=True):
        pixels = tiny_pictures.preprocessing.pixels(stored)[np.newaxis]
        np.testing.assert_allclose(row, classifier.probabilities(pixels)[0], atol=1e-6)


def test_several_classifiers_of_one_file_give_what_one_gives_in_the_same_order(
    tiny_model_path, tiny_pictures, monkeypatch
):
    monkeypatch.setattr(verification, "BATCH", 3)
    alone = verification.outputs([Classifier(tiny_model_path)], tiny_pictures)
    slow, *quick = [Classifier(tiny_model_path) for _ in range(3)]
    monkeypatch.setattr(slow, "probabilities", delayed(slow.probabilities))
    np.testing.assert_array_equal(verification.outputs([slow, *quick], tiny_pictures), alone)
    assert len({row.tobytes() for row in alone}) == 40


def delayed(function):
    """The same, later: the others overtake it."""

    def run(pixels):
        time.sleep(0.02)
        return function(pixels)

    return run


@pytest.fixture
def summary(five):
    """One file that passed and one that did not."""
    evidence = Evidence(five, rows(0, 1, 2, 3, 3))
    results = tuple(
        verification.judge(target, evidence, file=f"m-{name}.tflite", recipe=name, content=bytes(1234567), max_drop=1.5)
        for name, target in (("float32", rows(0, 1, 2, 3, 3)), ("int8", rows(1, 1, 2, 3, 3)))
    )
    return Summary(model="m", max_drop=1.5, results=results)


def test_a_file_is_accepted_up_to_the_limit_and_not_beyond(five):
    evidence, target = Evidence(five, rows(0, 1, 2, 3, 3)), rows(1, 1, 2, 3, 3)
    for limit, accepted in ((20.0, True), (19.9, False), (0.0, False)):
        found = verification.judge(target, evidence, file="f", recipe="int8", content=b"some", max_drop=limit)
        assert found.accepted is accepted
    assert (found.file, found.recipe, found.size_bytes, found.sha256) == ("f", "int8", 4, sha256(b"some"))


def test_columns_are_matched_by_name_and_not_by_place(make_packed, tiny_flatbuffer, tiny_pictures, tmp_path):
    (tmp_path / "right.tflite").write_bytes(make_packed(tiny_flatbuffer, quantised=False))
    right = verification.outputs([Classifier(tmp_path / "right.tflite")], tiny_pictures)
    turned = tiny_pictures.relabelled(tuple(reversed(tiny_pictures.labels)))
    np.testing.assert_array_equal(verification.outputs([Classifier(tmp_path / "right.tflite")], turned), right[:, ::-1])


def test_a_file_of_other_labels_or_of_another_size_is_refused(make_packed, tiny_flatbuffer, tiny_pictures, tmp_path):
    names = ("red", "green", "blue", "pink")
    (tmp_path / "other.tflite").write_bytes(make_packed(tiny_flatbuffer, quantised=False, names=names))
    with pytest.raises(ModelError, match=r"other\.tflite and the reference have other labels \(such as 'grey'\)"):
        verification.outputs([Classifier(tmp_path / "other.tflite")], tiny_pictures)
    (tmp_path / "right.tflite").write_bytes(make_packed(tiny_flatbuffer, quantised=False))
    larger = replace(tiny_pictures, preprocessing=Preprocessing(steps=(Resize(width=4, height=4),)))
    with pytest.raises(ModelError, match=r"right\.tflite takes \(8, 8\) pixels, the reference \(4, 4\)"):
        verification.outputs([Classifier(tmp_path / "right.tflite")], larger)


def test_existing_files_are_verified_against_a_run_without_its_data(colour_run, colour_exports):
    evidence = verification.evidence_of(colour_run.folder)
    paths = [colour_exports / f"colours-{recipe}.tflite" for recipe in ("float32", "int8")]
    found = verification.verify(paths, evidence, max_drop=5.0)
    before = msgspec.json.decode((colour_exports / "verification.json").read_bytes(), type=Summary)
    assert found.results == before.results


def test_a_run_whose_reference_belongs_to_another_model_is_refused(colour_run, tmp_path):
    shutil.copytree(colour_run.folder, tmp_path / "run")
    (tmp_path / "run" / "model.keras").write_bytes(b"another")
    with pytest.raises(DataError, match=r"predictions\.npz does not belong to model\.keras"):
        verification.evidence_of(tmp_path / "run")


def test_a_file_without_a_contract_is_verified_with_what_the_user_says_of_it(tiny_flatbuffer, tiny_pictures, tmp_path):
    (tmp_path / "plain.tflite").write_bytes(tiny_flatbuffer)
    evidence = Evidence(tiny_pictures, np.eye(4, dtype=np.float32)[tiny_pictures.classes])
    said = Foreign(labels=tiny_pictures.labels, input_range=(0.0, 255.0))
    result = verification.verify([tmp_path / "plain.tflite"], evidence, max_drop=100.0, foreign=said).results[0]
    assert (result.recipe, result.file) == ("unknown", "plain.tflite")
    assert result.verification.top1 == pytest.approx(0.9)  # one in ten bears a wrong label


def test_the_summary_is_a_table_for_people(summary):
    text = verification.markdown(summary)
    assert "# Verification of m" in text
    assert "5 test pictures" in text
    assert "Limit: a drop of 1.5 points" in text
    first, second = (line for line in text.splitlines() if line.startswith("| `"))
    assert first.startswith("| `m-float32.tflite` | 1,234,567 | 100.00% (")
    assert "| +0.00 (" in first
    assert first.endswith("| 100.00% | 0 | yes |")
    assert "| +20.00 (" in second
    assert second.endswith("| 80.00% | 0 | **no** |")
    columns = {line.count(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert len(columns) == 1


def test_the_summary_is_read_back_from_json(summary):
    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary
    assert msgspec.json.decode(msgspec.json.encode(summary))["schema"] == 1
