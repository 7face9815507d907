"""What the doctor must say of every seeded defect, of sound and damaged files, and of answers to labelled pictures."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seeded import SEEDS

from edgeproof.runtime import doctor, testset
from edgeproof.runtime.errors import ConfigError, DataError, ModelError

ROOT = Path(__file__).parents[2]
NAMES = ("red", "green", "blue", "grey")
# Those of the tiny model: a row a class over the mean of red, green and blue.
WEIGHTS = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2], [0, 0, 0]], np.float32) / 32
BIAS = np.array([0, 0, 0, 1.5], np.float32)


@pytest.fixture(scope="session")
def examined(bases, tmp_path_factory):
    """What the doctor says of every seed, by the seed's name."""
    folder, reports = tmp_path_factory.mktemp("corpus"), {}
    for number, (name, (_, maker)) in enumerate(SEEDS.items()):
        made = maker(bases)
        content, names = made if isinstance(made, tuple) else (made, None)
        path, given = folder / f"{number}.tflite", folder / f"{number}.txt"
        path.write_bytes(content)
        if names:
            given.write_text(names)
        reports[name] = doctor.examine(path, labels=given if names else None)
    return reports


@pytest.mark.parametrize("name", SEEDS)
def test_a_seeded_defect_is_found_by_its_rule(name, examined):
    assert SEEDS[name][0] in {finding.rule for finding in examined[name].findings}, examined[name].findings


def test_the_corpus_is_large_and_touches_every_rule_about_files():
    rules = {rule for rule, _ in SEEDS.values()}
    assert len(SEEDS) >= 40
    # Answers have pictures of their own in test_rules_answers.py; a file that passes every check and that LiteRT
    # refuses all the same is in test_rules_loading.py.
    assert {rule.id for rule in doctor.STATIC} == rules


@pytest.mark.parametrize("kind", ["floats", "integers"])
@pytest.mark.parametrize("maker", ["foreign", "ours"])
def test_nothing_but_the_missing_contract_is_found_in_a_sound_file(bases, tmp_path, kind, maker):
    path = tmp_path / "sound.tflite"
    path.write_bytes(getattr(bases, maker)(getattr(bases, kind)()))
    report = doctor.examine(path)
    assert [finding.rule for finding in report.findings] == (["EP112"] if maker == "foreign" else [])
    assert not report.fails("warning")


def test_findings_come_the_worst_first_and_the_limit_decides_what_fails(examined):
    report = examined["EP451 a scale that is zero"]
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert report.fails("error")
    assert not report.fails("never")
    warned = examined["EP502 a dead filter of a convolution"]
    assert not warned.fails("error")
    assert warned.fails("warning")


def test_a_file_that_failed_the_check_is_not_given_to_litert(examined):
    for name, report in examined.items():
        rules = {finding.rule for finding in report.findings}
        assert not ("EP603" in rules and "EP601" in rules), name


def test_no_such_file_is_an_error_of_the_user(tmp_path):
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        doctor.examine(tmp_path / "none.tflite")


def test_no_such_labels_file_is_an_error_of_the_user(tiny_model_path, tmp_path):
    with pytest.raises(DataError, match="labels cannot be read"):
        doctor.examine(tiny_model_path, labels=tmp_path / "none.txt")


def test_ranges_cannot_be_tried_without_pictures(tiny_model_path):
    with pytest.raises(ConfigError, match="--try-ranges needs labelled pictures"):
        doctor.examine(tiny_model_path, try_ranges=True)


@pytest.mark.parametrize("step", range(0, 100, 7))
def test_a_file_cut_anywhere_or_with_any_byte_changed_is_examined_without_a_traceback(bases, tmp_path, step):
    whole = bases.foreign(bases.integers())
    path = tmp_path / "damaged.tflite"
    path.write_bytes(whole[: len(whole) * step // 100])
    assert doctor.examine(path).fails("error")
    draw = np.random.default_rng(step)
    for _ in range(5):
        changed = bytearray(whole)
        for place in draw.integers(0, len(whole), 8):
            changed[place] = draw.integers(256)
        path.write_bytes(bytes(changed))
        doctor.examine(path)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Pictures of the four colours that the tiny model tells apart, as a folder a class."""
    folder, draw = tmp_path_factory.mktemp("colours"), np.random.default_rng(1)
    for name, colour in zip(NAMES, ((200, 40, 40), (40, 200, 40), (40, 40, 200), (120, 120, 120)), strict=True):
        (folder / name).mkdir()
        for number in range(8):
            pixels = (np.array(colour) + draw.integers(-30, 31, (8, 8, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_the_answers_of_a_sound_file_are_told(tiny_model_path, colours):
    report = doctor.examine(tiny_model_path, data=colours)
    assert report.answers.images == 32
    assert report.answers.top1 == 1.0
    assert report.answers.fed == "0 to 255, RGB"
    assert report.ranges is None
    assert not report.fails("error")


def test_the_range_of_somebody_elses_float_model_is_found(make_flatbuffer, colours, tmp_path):
    # The tiny model's logits are sums of bytes: of bytes / 255 they are the same where weights are 255 times larger.
    content = make_flatbuffer(quantised=False, weights=WEIGHTS * 255, bias=BIAS)
    path = tmp_path / "theirs.tflite"
    path.write_bytes(content)
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\ngrey\n")
    report = doctor.examine(path, labels=tmp_path / "labels.txt", data=colours, try_ranges=True)
    assert report.ranges.trials[0].feed == "0 to 1, RGB"
    assert report.ranges.input_range == (0.0, 1.0)
    assert report.ranges.confidence > 0.9
    assert "--input-range=0,1" in report.ranges.sentence
    assert report.answers.top1 == 1.0
    # Nothing in the file says what it takes, so the likeliest is taken, and said to be an assumption.
    assert any("0 to 1, RGB" in each for each in report.answers.assumed)


def test_swapped_channels_are_told(make_packed, make_flatbuffer, colours, tmp_path):
    path = tmp_path / "bgr.tflite"
    path.write_bytes(make_packed(make_flatbuffer(quantised=False, weights=WEIGHTS[:, ::-1]), quantised=False))
    report = doctor.examine(path, data=colours, try_ranges=True)
    assert report.ranges.trials[0].feed == "0 to 255, BGR"
    assert report.ranges.input_range is None
    assert "EP705" in {finding.rule for finding in report.findings}


def test_a_model_that_cannot_be_run_is_not_run_on_pictures(colours, bases, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(SEEDS["EP601 an addition of unequal sides"][1](bases))
    report = doctor.examine(path, data=colours)
    assert report.answers is None
    assert report.unanswered == "the file cannot be run"


def test_what_is_no_classifier_of_pictures_is_not_tried_on_them(bases, colours, tmp_path):
    path = tmp_path / "two.tflite"
    path.write_bytes(SEEDS["EP307 two outputs"][1](bases))
    assert "no classifier of pictures" in doctor.examine(path, data=colours).unanswered


def test_a_runs_pictures_are_brought_to_the_order_of_the_models_labels(tiny_model_path, tiny_pictures, tmp_path):
    order = ("grey", "blue", "green", "red")
    testset.write(tmp_path / "test.npz", tiny_pictures.relabelled(order))
    assert doctor.examine(tiny_model_path, data=tmp_path).answers.top1 == 0.9
    others = dataclasses.replace(tiny_pictures, labels=("a", "b", "c", "d"))
    testset.write(tmp_path / "test.npz", others)
    with pytest.raises(DataError, match="its labels are not the model's"):
        doctor.examine(tiny_model_path, data=tmp_path)


def test_a_model_of_grey_pictures_is_not_run(colours, bases, tmp_path):
    graph = bases.floats()
    weights = int(graph.operators[0].inputs[1])
    graph.tensors[graph.inputs[0]].shape = [1, 16, 16, 1]
    values = graph.constant(weights)[..., :1]
    graph.tensors[weights].shape = list(values.shape)
    graph.set_constant(weights, values)
    path = tmp_path / "grey.tflite"
    path.write_bytes(graph.packed())
    report = doctor.examine(path, data=colours)
    assert not report.fails("error")
    assert "Expected (1, height, width, 3)" in report.unanswered


def test_labels_that_do_not_fit_the_outputs_are_refused_for_pictures(make_flatbuffer, colours, tmp_path):
    path = tmp_path / "five.tflite"
    path.write_bytes(
        make_flatbuffer(quantised=False, weights=np.ones((5, 3), np.float32), bias=np.zeros(5, np.float32))
    )
    with pytest.raises(DataError, match="4 labels for 5 outputs"):
        doctor.examine(path, data=colours)


def test_every_rule_has_an_id_of_its_own_and_says_what_to_do():
    ids = [rule.id for rule in doctor.RULES]
    assert len(set(ids)) == len(ids) >= 25
    for rule in doctor.RULES:
        assert rule.title[0].isupper() or rule.title.startswith(("edgeproof", "int8", "8-bit")), rule.title
        assert not rule.title.endswith("."), rule.title
        assert rule.remedy.endswith("."), rule.id


def test_the_documentation_has_a_section_for_every_rule_with_its_severity_and_remedy():
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (EP\d+): (.*)$", text, re.M))
    assert sections == {rule.id: rule.title for rule in doctor.RULES}
    for rule in doctor.RULES:
        section = text.split(f"### {rule.id}: ")[1].split("\n### ")[0].split("\n## ")[0]
        words = " ".join(section.split())
        assert f"**{rule.severity}**" in words, rule.id
        assert rule.remedy in words, rule.id
        assert len(words) > len(rule.title) + len(rule.remedy) + 60, f"{rule.id} is not explained"
