import io
import sys

import numpy as np
import pytest
from PIL import Image

from edgeproof.benchmarks import drawing
from edgeproof.runtime import ConfigError


def draw_a_line(axes, theme):
    axes.plot([0, 1], [0, 1], color=theme.ink)


def brightness(png: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(png)).convert("L")).mean())


def test_a_figure_is_drawn_for_light_and_for_dark_pages():
    pytest.importorskip("matplotlib", reason="needs the report extra")
    figure = drawing.figure("A line.", "It rises.", 2.0, draw_a_line)
    assert brightness(figure.png) > 200
    assert brightness(figure.dark_png) < 60
    assert figure.alt == "It rises."


def test_the_same_drawing_gives_the_same_bytes():
    pytest.importorskip("matplotlib", reason="needs the report extra")
    first, second = (drawing.figure("", "", 2.0, draw_a_line).png for _ in range(2))
    assert first == second


def test_bars_are_stacked_and_their_totals_written():
    figures = pytest.importorskip("matplotlib.figure", reason="needs the report extra")
    axes = figures.Figure().add_subplot()
    drawing.stacked_bars(axes, drawing.LIGHT, ["a", "b"], {"x": [1.0, 2.0], "y": [10.0, 20.0]}, "ms")
    assert [bar.get_x() for bar in axes.patches] == [0, 0, 1, 2]
    assert [text.get_text().strip() for text in axes.texts] == ["11", "22"]


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"install edgeproof\[report\]"):
        drawing.figure("", "", 2.0, draw_a_line)
