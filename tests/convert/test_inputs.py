import shutil

import numpy as np
import pytest
from PIL import Image

from edgeproof.convert import inputs
from edgeproof.runtime import DataError, ModelError
from edgeproof.train.config import Data


def put(folder, labels=("red", "green", "blue", "grey"), count=5):
    colours = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200), "grey": (120, 120, 120)}
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            colour = tuple(np.clip(np.array(colours.get(label, (9, 9, 9))) + number, 0, 255))
            Image.new("RGB", (6, 6), colour).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def from_keras(saved, tmp_path):
    """Take the model of the mean colour with its labels in a file, in the order of its outputs."""
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\ngrey\n")
    model = saved()

    def take(folder, **data):
        given = {"labels": tmp_path / "labels.txt", "input_range": (0.0, 255.0), "seed": 0}
        return inputs.from_keras(data.pop("model", model), data=Data(source=str(folder), **data), **given)

    return take


@pytest.fixture(scope="module")
def taken(colour_run):
    return inputs.from_run(colour_run.folder)


def test_a_run_brings_its_model_its_training_pictures_and_its_reference(taken, colour_run):
    assert taken.reference.labels == ("blue", "green", "grey", "red")
    assert taken.reference.name == "mobilenetv2_035_32"
    assert taken.reference.size == (32, 32)
    assert len(taken.train) == 64
    assert all(name.startswith("train/") for name in taken.train.names)
    pictures = colour_run.read_pictures()
    np.testing.assert_array_equal(taken.evidence.outputs, colour_run.read_predictions(pictures))
    assert taken.evidence.test.hashes == pictures.hashes
    assert taken.reference.provenance["seed"] == "0"


def test_no_path_of_this_machine_gets_into_the_provenance(taken):
    provenance = taken.reference.provenance
    assert provenance["data"] == "pictures"
    assert not [value for value in provenance.values() if "/" in value]


def test_a_missing_reference_is_computed_again(colour_run, tmp_path):
    shutil.copytree(colour_run.folder, tmp_path / "run")
    (tmp_path / "run" / "predictions.npz").unlink()
    found = inputs.from_run(tmp_path / "run").evidence.outputs
    np.testing.assert_allclose(found, colour_run.read_predictions(colour_run.read_pictures()), atol=1e-5)


def test_an_unfinished_run_is_refused(colour_run, tmp_path):
    shutil.copytree(colour_run.folder, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"an unfinished training there \(no metrics\.json\)"):
        inputs.from_run(tmp_path / "run")


def test_a_run_whose_data_has_changed_since_is_refused(colour_run, colour_folder, tmp_path):
    shutil.copytree(colour_run.folder, tmp_path / "run")
    shutil.copytree(colour_folder, tmp_path / "pictures")
    (tmp_path / "pictures" / "test" / "red" / "00.png").unlink()
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace(str(colour_folder), str(tmp_path / "pictures")))
    with pytest.raises(DataError, match=r"pictures has changed since .* was trained: other test pictures"):
        inputs.from_run(tmp_path / "run")


def test_anybodys_model_is_taken_with_labels_in_the_order_of_its_outputs(from_keras, tmp_path):
    found = from_keras(put(tmp_path / "data"))
    assert found.reference.labels == found.evidence.test.labels == ("red", "green", "blue", "grey")
    answers = found.evidence.outputs.argmax(axis=1)
    np.testing.assert_array_equal(answers, found.evidence.test.classes)
    assert set(answers.tolist()) == {0, 1, 2, 3}
    assert not set(found.train.names) & set(found.evidence.test.names)


def test_a_second_path_brings_the_test_pictures(from_keras, tmp_path):
    found = from_keras(put(tmp_path / "data"), test=str(put(tmp_path / "test", count=2)))
    assert (len(found.train), len(found.evidence.test)) == (20, 8)


def test_pictures_are_resized_as_is_said_and_the_file_will_say_so(from_keras, tmp_path):
    data = put(tmp_path / "data")
    stretched = from_keras(data).evidence.test.preprocessing.steps
    assert {(step.resample, step.fit) for step in stretched} == {("bilinear", "stretch")}
    found = from_keras(data, resample="bicubic", fit="crop")
    steps = found.evidence.test.preprocessing.steps
    assert {step.resample for step in steps} == {"bicubic"}
    assert steps[0].fit == "crop"
    assert found.train.preprocessing == found.evidence.test.preprocessing


def test_labels_that_do_not_match_the_folders_are_named(from_keras, tmp_path):
    data = put(tmp_path / "data", ("red", "green", "blue", "pink"))
    with pytest.raises(DataError, match=r"labels\.txt and the classes in .* do not match \(such as grey, pink\)"):
        from_keras(data)


def test_a_wrong_number_of_labels_is_refused(from_keras, tmp_path):
    (tmp_path / "labels.txt").write_text("red\ngreen\n")
    with pytest.raises(ModelError, match="gives 4 outputs, but there are 2 labels"):
        from_keras(put(tmp_path / "data"))


def test_a_model_of_oblong_pictures_is_refused(from_keras, tmp_path):
    import keras

    oblong = keras.Input((8, 6, 3))
    answers = keras.layers.Dense(4, activation="softmax")(keras.layers.GlobalAveragePooling2D()(oblong))
    keras.Model(oblong, answers).save(tmp_path / "oblong.keras")
    with pytest.raises(DataError, match=r"oblong\.keras takes pictures of 8×6; only square inputs"):
        from_keras(put(tmp_path / "data"), model=tmp_path / "oblong.keras")


# --- calibration ----------------------------------------------------------------------------------------------------


def test_training_pictures_calibrate_and_their_list_is_kept(taken, tmp_path):
    found = inputs.calibrate(taken, record=tmp_path / "calibration.csv", images=20, seed=4)
    assert len(found.pictures) == 20
    assert set(found.pictures.names) <= set(taken.train.names)
    assert not set(found.pictures.hashes) & set(taken.evidence.test.hashes)
    lines = (tmp_path / "calibration.csv").read_text().splitlines()
    assert lines[0] == "path,label,sha256"
    assert [line.split(",")[2] for line in lines[1:]] == list(found.pictures.hashes)
    again = inputs.calibrate(taken, record=tmp_path / "again.csv", images=20, seed=4)
    assert again.summary == found.summary
    assert inputs.calibrate(taken, record=tmp_path / "other.csv", images=20, seed=5).summary != found.summary


def test_a_users_own_pictures_calibrate_in_their_place(taken, colour_folder, tmp_path):
    shutil.copytree(colour_folder / "train", tmp_path / "own")
    found = inputs.calibrate(taken, record=tmp_path / "calibration.csv", own=tmp_path / "own")
    assert len(found.pictures) == 64
    assert set(found.pictures.hashes) == set(taken.train.hashes)


def test_pictures_that_prove_nothing_are_refused_and_no_list_is_kept(taken, colour_folder, tmp_path):
    with pytest.raises(DataError, match=r"32 of 32 calibration pictures are test pictures as well"):
        inputs.calibrate(taken, record=tmp_path / "calibration.csv", own=colour_folder / "test")
    assert not (tmp_path / "calibration.csv").exists()
