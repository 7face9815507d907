import pytest

from edgeproof.convert.recipes import DYNAMIC, FLOAT32, INT8, NO_STEPS, Choice, Steps
from edgeproof.convert.workshop import Workshop

PLAIN, REPAIRED = Choice(INT8, NO_STEPS), Choice(INT8)


@pytest.fixture
def workshop(mean_colour, tiny_pictures):
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    return Workshop(mean_colour(), pixels)


def test_a_file_is_built_once(workshop):
    assert workshop.flatbuffer(PLAIN) is workshop.flatbuffer(PLAIN)


def test_the_float_graph_is_exported_once_for_all_choices(workshop):
    first = workshop.preparation(PLAIN).float32
    assert workshop.preparation(REPAIRED).float32 is first
    assert workshop.preparation(Choice(DYNAMIC, Steps(), "mse")).float32 is first


def test_choices_with_other_estimators_share_the_equalised_graph_but_not_the_ranges(workshop):
    graph, observed = workshop.preparation(REPAIRED).graph, workshop.preparation(REPAIRED).observed
    other = workshop.preparation(Choice(INT8, Steps(), "percentile"))
    assert other.graph is graph
    assert other.observed is not observed


def test_choices_with_and_without_equalisation_share_no_graph(workshop):
    graph = workshop.preparation(REPAIRED).graph
    assert workshop.preparation(PLAIN).graph is not graph


def test_a_workshop_says_what_its_files_take(mean_colour, tiny_pictures):
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    given = Workshop(mean_colour(), pixels, taken="float32").flatbuffer(PLAIN)
    assert given != Workshop(mean_colour(), pixels).flatbuffer(PLAIN)


def test_the_layers_left_in_float_bear_their_keras_names(workshop):
    graph = workshop.preparation(REPAIRED).graph
    dense = next(number for number in range(len(graph.operators)) if graph.kind(number) == "FULLY_CONNECTED")
    assert workshop.spared(Choice(INT8, in_float=(dense,))) == ("answers",)
    assert workshop.spared(Choice(FLOAT32)) == ()
