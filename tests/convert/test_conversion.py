import logging

import msgspec
import numpy as np
import pytest

from edgeproof.convert import calibration, conversion, recipes, verification, verification_report
from edgeproof.convert.conversion import About
from edgeproof.convert.reference import Reference
from edgeproof.convert.verification import Evidence, Summary
from edgeproof.runtime import Classifier, ConfigError, DataError, modelfile
from edgeproof.runtime.contract import digest, sha256


@pytest.fixture(scope="module")
def reference(mean_colour, tiny_pictures):
    return Reference("mean_colour", mean_colour(), tiny_pictures.labels, {"keras_sha256": "0" * 64}, ("a note",))


@pytest.fixture(scope="module")
def evidence(reference, tiny_pictures):
    return Evidence(tiny_pictures, reference.outputs(tiny_pictures))


@pytest.fixture
def convert(reference, evidence, tiny_pictures, tmp_path):
    """Convert the model of the mean colour into a folder of the test's own."""

    def run(*names, max_drop=5.0, seed=0, images=20, **changes):
        given = {"reference": reference, "evidence": evidence, "out": tmp_path / "out", **changes}
        sample = calibration.choose(tiny_pictures, images=images, seed=seed)
        return conversion.convert(
            given["reference"],
            recipes.named(names),
            sample,
            given["evidence"],
            out=given["out"],
            max_drop=max_drop,
            about=given.get("about", About()),
        )

    return run


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_are_named_after_the_model_and_the_recipe_beside_their_verification(convert, tmp_path):
    summary = convert("float32", "int8")
    assert files(tmp_path / "out") == [
        "mean-colour-float32.tflite",
        "mean-colour-int8.tflite",
        "verification.json",
        "verification.md",
    ]
    assert [result.file for result in summary.results] == ["mean-colour-float32.tflite", "mean-colour-int8.tflite"]
    written = (tmp_path / "out" / "verification.json").read_bytes()
    assert msgspec.json.decode(written, type=Summary) == summary
    assert (tmp_path / "out" / "verification.md").read_text() == verification_report.markdown(summary)


def test_the_float_file_of_a_real_network_gives_keras_answer_on_every_test_picture(colour_run, colour_exports):
    pictures = colour_run.read_pictures()
    kept = colour_run.read_predictions(pictures)
    found = verification.outputs([Classifier(colour_exports / "colours-float32.tflite")], pictures)
    np.testing.assert_array_equal(found.argmax(axis=1), kept.argmax(axis=1))
    np.testing.assert_allclose(found, kept, atol=1e-4)
    contract = modelfile.read(colour_exports / "colours-float32.tflite").contract
    assert (contract.verification.same_answers, contract.verification.drop_points) == (1, 0)
    assert len(set(kept.argmax(axis=1).tolist())) == 4


def test_the_integer_file_of_a_real_network_keeps_most_answers(colour_run, colour_exports):
    found = modelfile.read(colour_exports / "colours-int8.tflite").contract
    assert found.verification.same_answers >= 0.9
    assert found.verification.images == 32
    assert found.calibration.images == 20
    assert found.calibration.classes == 4


def test_the_contract_says_where_the_file_comes_from_and_what_it_scores(convert, tiny_pictures, tmp_path):
    summary = convert("int8", seed=3)
    file = modelfile.read(tmp_path / "out" / "mean-colour-int8.tflite")
    contract = file.contract
    assert contract.recipe == "int8"
    assert contract.preprocessing == tiny_pictures.preprocessing
    assert contract.model_sha256 == sha256(file.flatbuffer)
    assert contract.verification == summary.results[0].verification
    assert contract.verification.images_digest == digest(tiny_pictures.hashes)
    chosen = calibration.choose(tiny_pictures, images=20, seed=3)
    assert msgspec.structs.replace(contract.calibration, movement=None) == chosen.summary
    assert contract.calibration.movement > 0
    assert contract.quantisation.integer_multiply_accumulates == contract.quantisation.multiply_accumulates > 0
    assert {"keras_sha256", "edgeproof", "tensorflow"} <= set(contract.provenance)
    assert summary.results[0].sha256 == sha256((tmp_path / "out" / "mean-colour-int8.tflite").read_bytes())


def test_a_choice_decides_repairs_and_estimator_and_its_file_says_so(reference, evidence, tiny_pictures, tmp_path):
    sample = calibration.choose(tiny_pictures, images=20, seed=0)
    workshop = conversion.bench(reference, sample)
    graph = workshop.preparation(recipes.Choice(recipes.INT8)).graph
    dense = next(number for number in range(len(graph.operators)) if graph.kind(number) == "FULLY_CONNECTED")
    choice = recipes.Choice(recipes.INT8, recipes.Steps(equalisation=False), "percentile", (dense,))
    conversion.convert(reference, [choice], sample, evidence, out=tmp_path, max_drop=5.0, workshop=workshop)
    contract = modelfile.read(tmp_path / "mean-colour-int8.tflite").contract
    assert (contract.recipe, contract.repairs) == ("int8", ("head", "bias", "rounding"))
    assert contract.left_in_float == ("answers",)
    assert contract.calibration.estimator == "percentile"


def test_a_float_file_has_no_calibration(convert, tmp_path):
    convert("float32")
    assert modelfile.read(tmp_path / "out" / "mean-colour-float32.tflite").contract.calibration is None


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(convert, tmp_path):
    one, same, other = (
        convert("int8", seed=seed, images=4, out=tmp_path / str(number)).results[0].sha256
        for number, seed in enumerate((1, 1, 2))
    )
    assert one == same
    assert one != other


def test_a_file_that_drops_too_much_is_kept_as_rejected_and_an_earlier_good_one_removed(convert, tmp_path):
    convert("float32", "int8")
    summary = convert("int8", max_drop=-101.0)
    assert not summary.results[0].accepted
    assert summary.results[0].file == "mean-colour-int8.rejected.tflite"
    assert files(tmp_path / "out") == [
        "mean-colour-float32.tflite",
        "mean-colour-int8.rejected.tflite",
        "verification.json",
        "verification.md",
    ]
    assert "**no**" in (tmp_path / "out" / "verification.md").read_text()
    assert Classifier(tmp_path / "out" / "mean-colour-int8.rejected.tflite").file.contract.verification is not None


def test_an_accepted_file_removes_an_earlier_rejected_one(convert, tmp_path):
    convert("float32", max_drop=-101.0)
    assert "mean-colour-float32.rejected.tflite" in files(tmp_path / "out")
    convert("float32")
    assert files(tmp_path / "out")[0] == "mean-colour-float32.tflite"
    assert "mean-colour-float32.rejected.tflite" not in files(tmp_path / "out")


def test_a_real_drop_is_measured_and_refused(convert, reference, evidence, mean_colour):
    """Keras' outputs of one model, and the export of another that mixes up red and green."""
    other = mean_colour()
    kernel, bias = other.get_layer("answers").get_weights()
    other.get_layer("answers").set_weights([kernel[:, [1, 0, 2, 3]], bias])
    swapped = Reference("swapped", other, reference.labels, {}, ())
    result = convert("float32", reference=swapped, max_drop=5.0).results[0]
    assert not result.accepted
    assert result.verification.drop_points > 30
    assert result.verification.same_answers < 0.6


def test_a_name_of_the_users_own_is_taken(convert, tmp_path):
    convert("float32", about=About(name="my_colours", author="Ada"))
    file = modelfile.read(tmp_path / "out" / "my-colours-float32.tflite")
    assert file.contract.name == "my-colours-float32"
    assert b"Ada" in file.flatbuffer


@pytest.mark.parametrize("name", ["a/b", "../up", "/etc/x"])
def test_a_name_that_is_a_path_is_refused(name, convert):
    with pytest.raises(ConfigError, match=r"--name .*: a name, not a path, is expected"):
        convert("float32", about=About(name=name))


def test_pictures_of_another_size_or_of_other_classes_are_refused(convert, evidence, reference, mean_colour):
    larger = Reference("larger", mean_colour(size=16), reference.labels, {}, ())
    with pytest.raises(DataError, match=r"prepared for \(8, 8\) pixels; the model takes \(16, 16\)"):
        convert("float32", reference=larger)
    other = Reference("other", reference.model, ("red", "green", "blue", "pink"), {}, ())
    with pytest.raises(DataError, match="classes are not the model's labels"):
        convert("float32", reference=other)


def test_what_was_added_to_a_model_is_logged(convert, caplog):
    with caplog.at_level(logging.INFO, "edgeproof"):
        convert("float32")
    assert "mean-colour: a note" in caplog.text
    assert "mean-colour-float32.tflite: top-1" in caplog.text


def test_a_place_that_cannot_be_written_is_refused(convert, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is no folder that can be written"):
        convert("float32", out=tmp_path / "file" / "out")
