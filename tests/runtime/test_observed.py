import json

import numpy as np
import pytest

from edgeproof.runtime import DataError, observed
from edgeproof.runtime.contract import Golden, GoldenExample
from edgeproof.runtime.golden import Examples

LABELS = ("red", "green", "blue")


@pytest.fixture
def examples():
    described = tuple(
        GoldenExample(picture=f"golden/{name}", sha256="", pixels_sha256="", label="red", shows="plain")
        for name in ("00.png", "01.jpg")
    )
    golden = Golden(examples=described, expected="", expected_sha256="", tolerance=0.01, reveals={})
    return Examples(golden, (b"", b""), np.eye(3, dtype=np.float32)[:2], LABELS)


@pytest.fixture
def read(examples, tmp_path):
    def read(content):
        path = tmp_path / "answers"
        path.write_text(content)
        return observed.read(path, examples).outputs

    return read


def test_lines_of_classify_are_read_in_any_order_and_what_they_leave_out_is_unknown(read):
    lines = [
        {"schema": 1, "image": "/sdcard/01.jpg", "predictions": [{"label": "blue", "probability": 0.9}]},
        {"image": "C:\\here\\00.png", "predictions": [{"label": "green", "probability": 0.5, "class_index": 1}]},
    ]
    found = read("\n".join(map(json.dumps, lines)) + "\n\n")
    np.testing.assert_array_equal(found, np.float32([[np.nan, 0.5, np.nan], [np.nan, np.nan, 0.9]]))


def test_lines_with_all_probabilities_are_in_the_order_of_the_labels(read):
    lines = [{"image": name, "probabilities": [0.1, 0.2, 0.7]} for name in ("00.png", "01.jpg")]
    np.testing.assert_array_equal(read("\n".join(map(json.dumps, lines))), np.float32([[0.1, 0.2, 0.7]] * 2))


def test_a_table_goes_by_the_labels_of_its_header(read):
    found = read("picture,blue,red,green\n01.jpg,1,2,3\n00.png,4,5,6\n")
    np.testing.assert_array_equal(found, np.float32([[5, 6, 4], [2, 3, 1]]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "neither JSON lines nor CSV"),
        ("hello", "neither JSON lines nor CSV"),
        ('{"image": "00.png"', "line 1: "),
        ('{"predictions": []}', "line 1: .*image"),
        ('{"image": "00.png", "probabilities": [1]}', "line 1: 1 probabilities for 3 labels"),
        ('{"image": "00.png", "predictions": [{"label": "pink", "probability": 1}]}', "'pink' is none of the file's 3"),
        ('{"image": "02.png"}', "02.png is no golden picture"),
        ('{"image": "00.png"}', "no answer to 01.jpg .1 in all"),
        ("picture,red\n00.png,much\n", "line 2: expected 1 numbers"),
        ("picture,red\n00.png,1,2\n", "line 2: expected 1 numbers"),
        ("picture,red\n00.png,1\n", "no answer to 01.jpg"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_place(content, reason, read):
    with pytest.raises(DataError, match=reason):
        read(content)


def test_a_file_that_is_not_there_is_named(examples, tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read"):
        observed.read(tmp_path / "none.jsonl", examples)
