import io

import pytest
from PIL import Image

from edgeproof.benchmarks import wrong_answers
from edgeproof.benchmarks.quality import quality
from edgeproof.runtime import Classifier


@pytest.fixture
def asked(tiny_model_path, tiny_pictures, make_report):
    """A report of the tiny model, which is wrong on the four pictures with wrong labels, with its classifier."""
    import msgspec

    classifier = Classifier(tiny_model_path)
    file = msgspec.structs.replace(
        make_report().files[1], labels=classifier.labels, quality=quality(classifier, tiny_pictures)
    )
    return make_report(files=(file,)), [classifier]


def test_each_wrong_answer_is_shown_with_both_classes_and_its_probability(asked, tiny_pictures):
    (section,) = wrong_answers.sections(*asked, tiny_pictures)
    assert len(section.figures) == 4
    assert all(figure.small and "%" in figure.caption for figure in section.figures)
    pairs = {tuple(figure.caption.split(",")[0].split(" → ")) for figure in section.figures}
    labels = tiny_pictures.labels
    assert pairs == {(labels[(place + 1) % 4], labels[place]) for place in range(4)}


def test_a_shown_picture_is_the_one_that_was_asked(asked, tiny_pictures):
    (section,) = wrong_answers.sections(*asked, tiny_pictures)
    shown = {Image.open(io.BytesIO(figure.image)).tobytes() for figure in section.figures}
    assert shown == {tiny_pictures.stored[place].tobytes() for place in (9, 19, 29, 39)}


def test_it_says_that_the_pictures_may_belong_to_others(asked, tiny_pictures):
    (section,) = wrong_answers.sections(*asked, tiny_pictures)
    assert "may publish" in section.text[1]


def test_no_pictures_or_no_mistakes_make_no_section(asked, tiny_pictures, make_report):
    report, classifiers = asked
    assert wrong_answers.sections(report, classifiers, None) == ()
    right = tiny_pictures.take([place for place in range(40) if place % 10 != 9])
    assert wrong_answers.sections(report, classifiers, right) == ()


def test_large_pictures_become_small(tiny_pictures):
    import numpy as np

    large = np.zeros((300, 200, 3), np.uint8)
    assert Image.open(io.BytesIO(wrong_answers._tile(large))).size == (64, 96)
