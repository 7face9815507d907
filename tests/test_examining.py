"""`edgeproof doctor` and `edgeproof inspect`: streams, statuses and width."""

import json

import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime.doctor import RULES

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.fixture
def cut(tiny_model_path):
    """A file without its last bytes."""
    tiny_model_path.write_bytes(tiny_model_path.read_bytes()[:-9])
    return tiny_model_path


@pytest.fixture
def pictures(tmp_path):
    """Four colours, six pictures each, in a folder a class."""
    draw = np.random.default_rng(0)
    colours = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200), "grey": (120, 120, 120)}
    for name, colour in colours.items():
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(6):
            pixels = (np.array(colour) + draw.integers(-30, 31, (8, 8, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")
    return tmp_path / "pictures"


def test_a_file_with_an_error_has_status_1_and_the_rule_in_the_table(edgeproof, cut):
    status, out, err = edgeproof("doctor", cut)
    assert status == 1
    assert "EP105" in out
    assert "→ Get the file again" in out
    assert "1 error, " in out
    assert err == ""
    assert max(len(line) for line in out.splitlines() if "/" not in line) <= 80


def test_the_limit_of_severity_can_be_moved(edgeproof, cut, tiny_int8_path):
    assert edgeproof("doctor", cut, "--fail-on", "never")[0] == 0
    assert edgeproof("doctor", tiny_int8_path)[0] == 0
    assert edgeproof("doctor", cut, "--fail-on", "sometimes")[0] == 2


def test_a_file_that_is_not_there_has_status_2_and_one_line(edgeproof, tmp_path):
    for verb in ("doctor", "inspect"):
        status, out, err = edgeproof(verb, tmp_path / "none.tflite")
        assert (status, out) == (2, "")
        assert "cannot be read" in err
        assert err.count("\n") == 1


def test_json_is_one_document_with_a_schema_number(edgeproof, cut):
    status, out, _ = edgeproof("doctor", cut, "--json")
    document = json.loads(out)
    assert status == 1
    assert document["schema"] == 1
    assert document["findings"][0]["rule"] == "EP105"
    inspected = json.loads(edgeproof("inspect", cut, "--json")[1])
    assert inspected["schema"] == 1
    assert inspected["graph"]["kinds"] == {"MEAN": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1}


def test_sarif_is_printed_instead_of_a_table(edgeproof, cut):
    status, out, _ = edgeproof("doctor", cut, "--sarif")
    assert status == 1
    log = json.loads(out)
    assert log["version"] == "2.1.0"
    assert len(log["runs"][0]["tool"]["driver"]["rules"]) == len(RULES)


def test_pictures_are_answered_and_ranges_tried(edgeproof, tiny_model_path, pictures):
    status, out, _ = edgeproof("doctor", tiny_model_path, "--data", pictures, "--try-ranges")
    assert status == 0
    assert "Top-1 100.0%" in out
    assert "on 24 pictures" in out
    assert "0 to 255, RGB" in out
    assert "ImageNet mean and deviation, BGR" in out
    assert edgeproof("doctor", tiny_model_path, "--try-ranges")[0] == 2


def test_an_inspection_shows_every_part(edgeproof, tiny_int8_path):
    status, out, err = edgeproof("inspect", tiny_int8_path)
    assert (status, err) == (0, "")
    for words in ("sha256", "labels.txt", "uint8 1×8×8×3", "red, green, blue", "recipe int8", "FULLY_CONNECTED"):
        assert words in out
    assert max(len(line) for line in out.splitlines() if "/" not in line) <= 80
