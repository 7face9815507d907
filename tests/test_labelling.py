"""What `edgeproof classify` takes for pictures, and how it tells their labels."""

import io
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from edgeproof import labelling, telling, watching
from edgeproof.runtime import ConfigError, DataError, Prediction

RED = Prediction("red", 0.9, 0)
GREEN = Prediction("green or so", 0.05, 1)


class Piped:
    """Standard input as a program sees it that something is piped into."""

    def __init__(self, content):
        self.buffer = io.BytesIO(content)

    def isatty(self):
        return False


@pytest.fixture
def folder(tmp_path):
    """A folder of pictures in two levels, with files that are none."""
    for name in ("b.png", "a.JPG", "inner/c.webp", "inner/notes.txt", ".hidden.png", ".git/d.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "pictures"


def found(path):
    return [name for name, _ in labelling.pictures(str(path))]


def test_a_folder_is_read_whole_in_the_order_of_names_without_what_is_hidden(folder):
    expected = ["a.JPG", "b.png", "inner/c.webp"]
    assert found(folder) == [str(folder / name) for name in expected]


def test_a_very_large_folder_is_not_read_before_its_first_picture(folder, monkeypatch):
    monkeypatch.setattr(labelling, "SORTED", 1)
    assert sorted(found(folder)) == [str(folder / name) for name in ("a.JPG", "b.png", "inner/c.webp")]


def test_a_pattern_is_expanded_in_order(folder):
    assert found(folder / "*.[pP]*") == [str(folder / "b.png")]
    assert found(folder / "**" / "*.webp") == [str(folder / "inner" / "c.webp")]


def test_names_come_through_a_pipe_line_by_line(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Piped(f"x.png\r\n\n{folder}\nlast one.png".encode()))
    assert found("-")[0] == "x.png"
    monkeypatch.setattr(sys, "stdin", Piped(f"x.png\r\n\n{folder}\nlast one.png".encode()))
    assert found("-")[1:] == [str(folder / name) for name in ("a.JPG", "b.png", "inner/c.webp")] + ["last one.png"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_a_picture_comes_through_a_pipe_whole(kind, monkeypatch):
    content = io.BytesIO()
    Image.new("RGB", (7, 5), (1, 2, 3)).save(content, kind)
    monkeypatch.setattr(sys, "stdin", Piped(content.getvalue()))
    assert list(labelling.pictures("-")) == [("-", content.getvalue())]


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ([], "no pictures were given"),
        (["model.tflite"], "classify model.tflite: no pictures were given"),
        (["nowhere.png"], r"nowhere\.png: no such file or folder"),
        (["no*where.png"], "no file matches this pattern"),
    ],
)
def test_what_is_not_there_is_refused_at_once(paths, reason):
    with pytest.raises((ConfigError, DataError), match=reason):
        labelling.split(paths)


def test_nothing_is_expected_beside_a_watched_folder(tmp_path):
    assert labelling.split(["m.tflite"], watched=tmp_path) == (Path("m.tflite"), ())
    with pytest.raises(ConfigError, match=r"give no other pictures .such as a\.png. beside it"):
        labelling.split(["m.tflite", "a.png"], watched=tmp_path)


def test_csv_has_a_cell_for_every_label_and_an_error_of_its_own(capsys):
    teller = telling.table(top=2)
    teller("a,b.png", (RED, GREEN))
    teller("bad.png", "cannot be decoded")
    teller("unsure.png", ())
    assert capsys.readouterr().out.splitlines() == [
        "image,error,label_1,probability_1,label_2,probability_2",
        '"a,b.png",,red,0.900000,green or so,0.050000',
        "bad.png,cannot be decoded,,,,",
        "unsure.png,,,,,",
    ]


def test_json_lines_hold_predictions_or_an_error(capsys):
    teller = telling.json_lines("m.tflite")
    teller("a.png", (RED,))
    teller("b.png", "bad")
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert good["predictions"] == [{"label": "red", "probability": 0.9, "class_index": 0}]
    assert (bad["error"], "predictions" in bad) == ("bad", False)


def test_on_a_terminal_rows_fit_its_width_and_keep_the_first_label(capsys):
    teller = telling.lines(width=60)
    teller("/a/very/long/path/to/some/picture/of/mine.png", (RED, GREEN, GREEN, GREEN))
    teller("b.png", (Prediction("a label that is longer than the terminal", 0.5, 3), RED))
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.startswith("picture ")
    assert first.startswith("…")
    assert "mine.png  red 90.0%  green or so 5.0%" in first
    assert len(first) <= 60
    assert second.endswith("a label that is longer than the terminal 50.0%")


def test_labels_that_are_not_sure_enough_are_left_out():
    answers = [("a", (RED, GREEN)), ("b", (GREEN,)), ("c", "bad")]
    assert list(telling.sure(answers, 0.5)) == [("a", (RED,)), ("b", ()), ("c", "bad")]


def test_pictures_are_copied_into_folders_of_their_labels_and_none_is_overwritten(tmp_path):
    for name in ("one/a.png", "two/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    odd = Prediction("../sweet/pepper", 0.9, 3)
    one, two = str(tmp_path / "one" / "a.png"), str(tmp_path / "two" / "a.png")
    answers = [(one, (RED,)), (two, (RED,)), (one, ()), (two, (odd,)), (one, "bad"), ("-", (RED,))]
    out = tmp_path / "sorted"
    assert list(telling.copied(answers, out)) == answers
    copied = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert copied == {
        "red/a.png": "one/a.png",
        "red/a-2.png": "two/a.png",
        "_unsure/a.png": "one/a.png",
        "_sweet_pepper/a.png": "two/a.png",
    }


def test_a_picture_that_arrives_is_seen_once_when_it_is_whole(tmp_path):
    (tmp_path / "old.png").write_bytes(b"old")
    seen = []

    def look():
        for name, _ in watching.arrivals(tmp_path, seconds=0.05):
            seen.append((os.path.basename(name), Path(name).read_bytes()))
            if name.endswith("end.png"):
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    time.sleep(0.15)
    with (tmp_path / "new.png").open("wb") as file:
        for _ in range(6):
            file.write(b"x")
            file.flush()
            time.sleep(0.02)
    (tmp_path / "notes.txt").write_bytes(b"no picture")
    time.sleep(0.4)
    (tmp_path / "end.png").write_bytes(b"end")
    watcher.join(20)
    assert seen == [("new.png", b"xxxxxx"), ("end.png", b"end")]


def test_a_folder_that_cannot_be_watched_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        next(watching.arrivals(tmp_path / "nowhere"))
