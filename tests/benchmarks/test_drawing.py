import sys
from xml.etree import ElementTree

import pytest

from edgeproof.benchmarks import drawing
from edgeproof.runtime import ConfigError


def draw_a_line(axes, theme):
    axes.plot([0, 1], [0, 1], color=theme.ink)


def test_a_figure_is_drawn_for_light_and_for_dark_pages():
    pytest.importorskip("matplotlib", reason="needs the report extra")
    figure = drawing.figure("A line.", "It rises.", 2.0, draw_a_line)
    assert ElementTree.fromstring(figure.image).tag.endswith("svg")
    for image, theme in ((figure.image, drawing.LIGHT), (figure.dark_image, drawing.DARK)):
        assert theme.ground.encode() in image
        assert theme.ink.encode() in image
    assert figure.alt == "It rises."


def test_the_same_drawing_gives_the_same_bytes():
    pytest.importorskip("matplotlib", reason="needs the report extra")
    first, second = (drawing.figure("", "", 2.0, draw_a_line).image for _ in range(2))
    assert first == second


def test_bars_are_stacked_and_their_totals_written():
    figures = pytest.importorskip("matplotlib.figure", reason="needs the report extra")
    axes = figures.Figure().add_subplot()
    drawing.stacked_bars(axes, drawing.LIGHT, ["a", "b"], {"x": [1.0, 2.0], "y": [10.0, 20.0]}, "ms")
    assert [bar.get_x() for bar in axes.patches] == [0, 0, 1, 2]
    assert [text.get_text().strip() for text in axes.texts] == ["11.0", "22.0"]


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of the luminances of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [drawing.LIGHT, drawing.DARK])
def test_writing_can_be_read_and_every_colour_seen_on_its_ground(theme):
    assert contrast(theme.ink, theme.ground) > 7
    assert all(contrast(colour, theme.ground) > 2.2 for colour in theme.colours)
    assert contrast(theme.colours[0], theme.ground) > 4.5


def test_files_beyond_the_colours_differ_from_their_neighbours():
    styles = [drawing.style(drawing.DARK, index) for index in range(7)]
    assert len(set(styles)) == 6
    assert styles[6] == styles[0]


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"install edgeproof\[report\]"):
        drawing.figure("", "", 2.0, draw_a_line)
