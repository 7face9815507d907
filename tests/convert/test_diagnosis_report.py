import re
from html.parser import HTMLParser

import msgspec
import pytest

from edgeproof.convert import diagnosis_report
from edgeproof.convert.diagnosis import Diagnosis, Layer
from edgeproof.convert.diagnosis_report import HEADER, SHORT, html, markdown, rows, short_rows, summary, write


def layer(operator, *, name="", blame=0.0, sentence="", **changed):
    known = {
        **{"kind": "CONV_2D", "activation": "RELU6", "weight_range_ratio": 12.34, "sqnr_db": 21.5, "cosine": 0.99},
        **{"own_sqnr_db": 40.25, "own_cosine": 0.9999, "saturated": 0.001, "mean_shift": 0.05, "damage": blame},
        **{"answers_changed": 0.125, "top1_lost": 1.5, "cause": "bias" if blame else "none"},
    }
    name = name or f"block_{operator}_expand"
    return Layer(
        operator=operator, name=name, blame=blame, sentence=sentence or f"{name}: told.", **{**known, **changed}
    )


def diagnosis(*layers):
    return Diagnosis(
        model="toy <model>",
        calibration_images=100,
        held_out_images=200,
        float_top1=0.8,
        int8_top1=0.7,
        int8_answers_changed=0.2,
        int8_damage=0.3,
        layers=layers,
    )


@pytest.fixture(scope="module")
def found():
    quiet = [layer(number, activation="NONE", weight_range_ratio=None) for number in range(12)]
    return diagnosis(
        *quiet,
        layer(12, blame=0.3, name="the_worst"),
        layer(13, blame=0.01, sqnr_db=None),
        layer(14, blame=0.0001, name="left/a_name_that_is_much_too_long_for_a_terminal"),
    )


def test_the_summary_says_what_int8_does_to_the_whole(found):
    assert summary(found) == (
        "Plain int8 changes 20.0% of the answers on 200 held-out training pictures: top-1 80.0% in float, 70.0% in "
        "int8. 2 layers are to blame."
    )
    assert summary(diagnosis(layer(0, blame=0.1))).endswith("One layer is to blame.")
    assert "No layer is to blame for more" in summary(diagnosis(layer(0)))


def test_the_worst_layers_come_first_and_negligible_ones_are_not_among_them(found):
    assert [each.name for each in found.worst] == ["the_worst", "block_13_expand"]
    assert [each.operator for each in found.ranked[:3]] == [12, 13, 14]
    text = markdown(found)
    assert text.index("1. the_worst: told.") < text.index("2. block_13_expand: told.") < text.index("## All layers")
    assert "3. " not in text


def test_the_table_has_a_row_for_every_layer_with_every_measure(found):
    table = [line for line in markdown(found).splitlines() if line.startswith("|")]
    assert len(table) == 2 + 15
    assert {line.count("|") for line in table} == {len(HEADER) + 1}
    cells = dict(zip(HEADER, rows(found)[12], strict=True))
    assert cells == {
        "layer": "the_worst",
        "operator": "CONV_2D RELU6",
        "damage": "0.3000",
        "blame": "0.3000",
        "answers changed": "12.5%",
        "top-1 lost": "+1.5",
        "SQNR, dB": "21.5",
        "own SQNR, dB": "40.2",
        "cosine": "0.9900",
        "mean shift": "0.050",
        "saturated": "0.100%",
        "weights' ratio": "12.3",
    }


def test_what_has_no_noise_is_exact_and_what_has_no_weights_no_ratio(found):
    assert rows(found)[13][HEADER.index("SQNR, dB")] == "exact"
    assert rows(found)[0][HEADER.index("weights' ratio")] == ""
    assert rows(found)[0][HEADER.index("operator")] == "CONV_2D"


def test_without_worst_layers_there_is_no_list_of_them():
    assert "The worst" not in markdown(diagnosis(layer(0)))
    assert "The worst" not in html(diagnosis(layer(0)), b"png")


def test_the_short_table_has_the_ten_worst_and_fits_a_terminal(found, capsys):
    from edgeproof import show

    cells = short_rows(found)
    assert len(cells) == 10
    assert cells[0][0] == "the_worst"
    assert cells[2][0].startswith("…")
    assert cells[2][0].endswith("too_long_for_a_terminal")
    show.table(SHORT, cells)
    lines = capsys.readouterr().out.rstrip().splitlines()
    assert len(lines) <= 10 + 3  # none is folded
    assert max(map(len, lines)) <= 80


class Page(HTMLParser):
    """What a page holds, and whether it asks for anything."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_and_says_the_same(found):
    page = Page(html(found, b"png"))
    assert all(link.startswith("data:") for link in page.links)
    assert "script" not in page.tags
    assert summary(found) in page.text
    assert "the_worst: told." in page.text
    assert page.tags.count("tr") == 1 + 15
    assert "toy <model>" in page.text


def test_the_worst_layers_are_marked_in_the_page(found):
    marked = re.findall(r'<tr class="worst">\s*<th scope="row">(\S+)</th>', html(found, b"png"))
    assert marked == ["the_worst", "block_13_expand"]


def test_all_forms_are_written_and_the_json_is_the_diagnosis(found, tmp_path):
    written = write(found, tmp_path / "out")
    assert [path.name for path in written] == ["diagnosis.html", "diagnosis.md", "diagnosis.json", "diagnosis.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in written)
    assert msgspec.json.decode((tmp_path / "out" / "diagnosis.json").read_bytes(), type=Diagnosis) == found
    assert (tmp_path / "out" / "diagnosis.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "diagnosis.md").read_text() == markdown(found)


def test_every_measure_is_explained(found):
    notes = " ".join(diagnosis_report.NOTES).lower()
    for word in (
        "damage",
        "blame",
        "answers changed",
        "sqnr",
        "own sqnr",
        "cosine",
        "mean shift",
        "saturated",
        "ratio",
    ):
        assert word in notes
