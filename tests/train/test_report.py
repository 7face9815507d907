import io
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import report
from edgeproof.train.duplicates import Near, Pair
from edgeproof.train.report import Census, ClassCount, Sizes


def picture(size, format_="PNG"):
    content = io.BytesIO()
    Image.new("RGB", size).save(content, format_)
    return content.getvalue()


def part(*classes):
    n = len(classes)
    steps = (Resize(width=4, height=4),)
    return LabelledPictures(
        ("cat", "dog"),
        ("x",) * n,
        np.array(classes),
        np.zeros((n, 4, 4, 3), np.uint8),
        ("h",) * n,
        Preprocessing(steps=steps),
    )


def told(caplog, *classes, census=None, skipped=(), equal=(), near=Near()):  # noqa: B008  # frozen, so one for all calls is right
    found = report.report(part(*classes), part(0, 1), census or Census(), dict(skipped), equal=equal, near=near)
    with caplog.at_level(logging.INFO, "edgeproof"):
        report.log(found)
    return found


def test_sizes_and_formats_are_those_of_the_files_whatever_the_thread(caplog):
    census = Census()
    files = [picture((30, 40)), picture((400, 300), "JPEG"), picture((20, 50)), picture((90, 90), "JPEG"), b"words"] * 8
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(census.add, [*files, picture((35, 40))]))
    found = told(caplog, 0, 1, census=census)
    assert found.sizes == Sizes((20, 50), (35, 40), (400, 300))
    assert found.formats == {"PNG": 17, "JPEG": 16}
    assert "sizes: smallest 20×50, median 35×40, largest 400×300" in caplog.text
    assert "formats: PNG 17, JPEG 16" in caplog.text


def test_the_ends_are_kept_where_there_are_too_many_sizes_to_keep(monkeypatch):
    monkeypatch.setattr(report, "_SIZES", 1)
    census = Census()
    for size in ((30, 30), (10, 10), (30, 30), (20, 20), (90, 90), (50, 50)):
        census.add(picture(size))
    assert census.sizes == Sizes((10, 10), (30, 30), (90, 90))


def test_pictures_without_files_have_neither(caplog):
    found = told(caplog, 0, 1)
    assert (found.sizes, found.formats) == (None, {})
    assert "sizes" not in caplog.text


def test_balanced_classes_are_a_note(caplog):
    found = told(caplog, *[0] * 10, 1)
    assert (found.fewest, found.most, found.ratio) == (ClassCount("dog", 1), ClassCount("cat", 10), 10)
    assert "training pictures a class: 1 ('dog') to 10 ('cat')" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_unbalanced_classes_are_a_warning_that_names_the_setting(caplog):
    told(caplog, *[0] * 23, 1, 1)
    words = "classes are unbalanced: 'cat' has 23 training pictures, 'dog' 2 (12 : 1). Weigh them with --set finetune."
    assert words in caplog.text


def test_near_duplicates_are_a_warning_with_the_first_of_them(caplog):
    pairs = tuple(Pair(f"train/{n}", f"test/{n}", 0.9) for n in range(5))
    told(caplog, 0, 1, near=Near(pairs, 100, 1000))
    assert "5 test pictures are near duplicates of training pictures (test/0 ≈ train/0; test/1 ≈ train/1" in caplog.text
    assert "100 of 1000 test pictures were looked up" in caplog.text


@pytest.mark.parametrize("near", [Near((), 10, 10), Near((), 0, 10)])
def test_where_there_are_none_nothing_is_said_of_them(near, caplog):
    told(caplog, 0, 1, near=near)
    assert "near" not in caplog.text
