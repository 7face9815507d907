import msgspec
import pytest
from PIL import Image

from edgeproof.convert import pareto
from edgeproof.convert.pareto import Search
from edgeproof.convert.recipes import FLOAT16, INT8, NO_STEPS, Choice, Goal
from edgeproof.convert.search import Found
from edgeproof.convert.trials import Trial


def trial(name, same, size, latency=None, *, accepted=False):
    return Trial(
        name=name,
        recipe=name.split()[0],
        repairs=(),
        estimator="min-max",
        left_in_float=("block_1_depthwise",) if "float" in name.split() else (),
        size_bytes=size,
        images=3000,
        reference_top1=0.8,
        top1=0.79,
        drop_points=1.0,
        drop_interval_points=(0.5, 1.5),
        same_answers=same,
        accepted=accepted,
        seconds=12.0,
        latency_ms=latency,
    )


TRIALS = (
    trial("int8", 0.82, 3_000_000, 3.0),
    trial("int8 repaired, 1 in float", 0.97, 3_010_000, 3.2, accepted=True),
    trial("float16", 1.0, 5_000_000, 6.0, accepted=True),
    trial("dynamic", 0.97, 3_100_000, 7.0),
)
CHOICES = (Choice(INT8, NO_STEPS), Choice(INT8, in_float=(1,)), Choice(FLOAT16), Choice(INT8))


@pytest.fixture
def search():
    found = Found(CHOICES, TRIALS, 1, "no other candidate can be better by latency", 4.0)
    return pareto.search_of("model_$x$", Goal(0.5), found, TRIALS)


def test_a_trial_that_another_beats_in_every_way_is_not_on_the_front():
    assert [each.on_front for each in pareto.with_front(TRIALS)] == [True, True, True, False]


def test_of_equal_trials_both_are_on_the_front():
    assert [each.on_front for each in pareto.with_front((TRIALS[0], TRIALS[0]))] == [True, True]


def test_the_front_goes_by_size_where_no_latency_was_measured():
    some = (trial("int8", 0.9, 10), trial("float32", 0.9, 40), trial("float16", 1.0, 20))
    assert [each.on_front for each in pareto.with_front(some)] == [True, False, True]


def test_the_sentence_says_why_a_file_is_chosen(search):
    assert search.sentence == (
        "'int8 repaired, 1 in float' with a drop of 1.00 points and 97.0% of Keras' answers on 3000 held-out training "
        "pictures is chosen, within 0.5 points: no other candidate can be better by latency (4 trials in 4.0 minutes)."
    )


def test_where_nothing_is_good_enough_the_sentence_names_the_nearest():
    found = Found(CHOICES[:1], TRIALS[:1], None, "--max-trials 1 are done: 12 candidates were left", 1.0)
    told = pareto.search_of("m", Goal(0.5), found, TRIALS[:1]).sentence
    assert told.startswith("No file loses at most 0.5 points; the nearest is 'int8' with a drop of 1.00 points")
    assert "(1 trial in 1.0 minutes; --max-trials 1 are done" in told


def test_all_three_files_are_written_and_can_be_read(search, tmp_path):
    pareto.write(search, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pareto.png", "search.json", "search.md"]
    assert msgspec.json.decode((tmp_path / "search.json").read_bytes(), type=Search) == search
    with Image.open(tmp_path / "pareto.png") as drawn:
        assert drawn.width > 600
        assert len(drawn.convert("RGB").getcolors(1 << 24)) > 10


def test_the_table_marks_the_chosen_trial_and_names_what_it_leaves_in_float(search):
    rows = [line for line in pareto.markdown(search).splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(TRIALS)
    assert rows[3].startswith("| **int8 repaired, 1 in float** (block_1_depthwise) | 79.00% | 80.00% | +1.00 (")
    assert "| 3,010,000 | 3.20 | yes | yes | 12 |" in rows[3]
    assert "| no |  | 12 |" in rows[5]


def test_trials_without_latency_are_plotted_over_size_alone(tmp_path):
    some = (trial("int8", 0.9, 10), trial("float16", 1.0, 20))
    found = Found(CHOICES[:2], some, 0, "done", 1.0)
    pareto.write(pareto.search_of("m", Goal(0.5), found, some), tmp_path)
    assert "| – |" in (tmp_path / "search.md").read_text()
    assert (tmp_path / "pareto.png").is_file()
