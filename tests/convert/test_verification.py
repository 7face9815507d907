import zipfile

import msgspec
import numpy as np
import pytest
from msgspec import structs

from edgeproof.convert import references, verification
from edgeproof.convert.gates import Gates
from edgeproof.convert.verification import Evidence, Summary
from edgeproof.runtime import Classifier, VerificationError, answers, labels, modelfile
from edgeproof.runtime import contract as contracts
from edgeproof.runtime.contract import digest, sha256
from edgeproof.runtime.foreign import Foreign

LAX = Gates(max_drop=100.0, min_agreement=0.0)


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


def test_the_outputs_of_one_file_are_those_of_the_runtime(tiny_model_path, tiny_pictures):
    found = verification.outputs([Classifier(tiny_model_path)], tiny_pictures)
    np.testing.assert_array_equal(found, answers.outputs([[Classifier(tiny_model_path)]], tiny_pictures)[0])


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


def test_existing_files_are_verified_against_a_run_without_its_data(colour_run, colour_exports):
    evidence = references.of_run(colour_run.folder)
    paths = [colour_exports / f"colours-{recipe}.tflite" for recipe in ("float32", "int8")]
    found = verification.verify(paths, evidence, Gates(max_drop=5.0))
    before = msgspec.json.decode((colour_exports / "verification.json").read_bytes(), type=Summary)
    assert found.results == before.results


def test_a_file_without_a_contract_is_verified_with_what_the_user_says_of_it(tiny_flatbuffer, tiny_pictures, tmp_path):
    (tmp_path / "plain.tflite").write_bytes(tiny_flatbuffer)
    evidence = Evidence(tiny_pictures, np.eye(4, dtype=np.float32)[tiny_pictures.classes])
    said = Foreign(labels=tiny_pictures.labels, input_range=(0.0, 255.0))
    result = verification.verify([tmp_path / "plain.tflite"], evidence, LAX, foreign=said).results[0]
    assert result.accepted
    assert (result.recipe, result.file) == ("unknown", "plain.tflite")
    assert result.verification.top1 == pytest.approx(0.9)  # one in ten bears a wrong label


def test_the_summary_is_read_back_from_json(summary):
    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary
    assert msgspec.json.decode(msgspec.json.encode(summary))["schema"] == 1


@pytest.fixture
def evidence(tiny_model_path, tiny_pictures):
    """The tiny file's own answers as the reference."""
    return Evidence(tiny_pictures, verification.outputs([Classifier(tiny_model_path)], tiny_pictures))


def test_the_same_answers_pass_and_nothing_is_explained(tiny_model_path, evidence):
    result = verification.verify([tiny_model_path], evidence, Gates(max_drop=0.0)).results[0]
    assert result.accepted
    assert (result.breaches, result.explanations) == ((), ())
    assert [each.label for each in result.classes] == list(evidence.test.labels)


def test_a_float32_file_must_give_99_of_100_answers_unless_another_limit_is_given(tiny_model_path, evidence):
    other = evidence.outputs.copy()
    other[0] = np.roll(other[0], 1)
    changed = Evidence(evidence.test, other)
    found = verification.verify([tiny_model_path], changed, Gates(max_drop=100.0)).results[0]
    assert [each.gate for each in found.breaches] == ["min-agreement"]
    assert verification.verify([tiny_model_path], changed, LAX).results[0].accepted


def test_integers_may_answer_otherwise_within_the_drop(
    tiny_int8_path, make_flatbuffer, make_packed, evidence, tmp_path
):
    other = evidence.outputs.copy()
    other[0] = np.roll(other[0], 1)
    found = verification.verify([tiny_int8_path], Evidence(evidence.test, other), Gates(max_drop=100.0)).results[0]
    assert found.verification.same_answers < 0.99
    assert found.accepted


def relabelled(path, names):
    """Give a file other labels, with a contract that fits them."""
    file = modelfile.read(path)
    texts = labels.text(names).encode()
    contract = structs.replace(file.contract, labels_sha256=sha256(texts))
    path.write_bytes(
        modelfile.pack(
            file.flatbuffer, {contracts.LABELS_NAME: texts, contracts.CONTRACT_NAME: contracts.encode(contract)}
        )
    )


def test_swapped_labels_fail_whatever_the_limits_and_the_line_names_file_gate_and_cause(tiny_model_path, evidence):
    relabelled(tiny_model_path, ("red", "blue", "green", "grey"))
    summary = verification.verify([tiny_model_path], evidence, LAX)
    assert [each.gate for each in summary.results[0].breaches] == ["labels"]
    with pytest.raises(VerificationError) as refusal:
        verification.gate(summary)
    assert str(refusal.value).startswith("tiny-float32.tflite: its answers fit the reference better with labels")
    assert "likely cause: its labels" in str(refusal.value)
    assert "are swapped" in str(refusal.value)


def test_a_contract_that_names_another_keras_model_fails_where_the_weights_do_not_speak_for_it(
    tiny_model_path, evidence, tmp_path
):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("nothing", "")
    known = Evidence(evidence.test, evidence.outputs, tmp_path / "model.keras")
    assert verification.verify([tiny_model_path], known, LAX).results[0].accepted  # no record: nothing against it
    file = modelfile.read(tiny_model_path)
    contract = structs.replace(file.contract, provenance={"keras_sha256": "0" * 64})
    attachments = {**file.attachments, contracts.CONTRACT_NAME: contracts.encode(contract)}
    tiny_model_path.write_bytes(modelfile.pack(file.flatbuffer, attachments))
    result = verification.verify([tiny_model_path], known, LAX).results[0]
    assert [each.gate for each in result.breaches] == ["weights"]
    assert result.explanations[0].id == "weights"


def test_two_files_are_judged_apart(tiny_model_path, tiny_int8_path, evidence):
    relabelled(tiny_model_path, ("red", "blue", "green", "grey"))
    found = verification.verify([tiny_model_path, tiny_int8_path], evidence, Gates(max_drop=5.0))
    assert [result.accepted for result in found.results] == [False, True]
    assert found.model == "tiny-float32.tflite, tiny-int8.tflite"
    with pytest.raises(VerificationError, match=r"^tiny-float32\.tflite: "):
        verification.gate(found)
