import re
import sys
from html.parser import HTMLParser

import msgspec
import pytest

from edgeproof.benchmarks import page as page_module
from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.page import SIZE_LIMIT, html, title, write_page
from edgeproof.benchmarks.sections import Figure, Section, Table
from edgeproof.runtime import ConfigError

EXTRA = Section(
    "Training",
    text=["<b>loud</b>"],
    figures=[Figure("Learning curves", b"not really a PNG")],
    table=Table("Epochs", ("epoch", "loss"), (("epoch one", "0.5"),)),
)


class Reader(HTMLParser):
    """Collects what a page asks of the browser: its tags with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def page(make_report) -> str:
    pytest.importorskip("jinja2", reason="needs the report extra")
    pytest.importorskip("matplotlib", reason="needs the report extra")
    return html(make_report(classes=100), extra=[EXTRA])


def test_the_page_asks_for_nothing_outside_itself(page):
    reader = Reader(page)
    sources = [a.get("src") or a.get("href") or a.get("srcset") for tag, a in reader.tags if tag != "a"]
    assert all(source.startswith("data:") for source in sources if source)
    assert not reader.all("script")
    (policy,) = [a["content"] for a in reader.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "url(" not in page
    assert "@import" not in page


def test_every_picture_has_words_and_every_table_a_caption(page):
    reader = Reader(page)
    assert len(reader.all("img")) == 9
    assert all(image["alt"] for image in reader.all("img"))
    assert len(reader.all("caption")) == len(reader.all("table")) == 7
    assert all(cell["scope"] in ("row", "col") for cell in reader.all("th"))
    assert reader.all("html") == [{"lang": "en"}]
    assert len(reader.all("h1")) == 1


def test_a_reader_of_landmarks_and_headings_finds_each_part_once(page):
    reader = Reader(page)
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(reader.all(landmark)) == 1
    targets = [link["href"].removeprefix("#") for link in reader.all("a")]
    identities = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert targets[0] == "content"
    assert len(set(identities)) == len(identities)
    assert set(targets) == set(identities)
    assert len(reader.all("h2")) == len(targets) - 1
    regions = [attributes["aria-label"] for _, attributes in reader.tags if attributes.get("role") == "region"]
    assert len(set(regions)) == len(regions)


def test_plots_have_a_dark_twin_and_given_figures_need_none(page):
    assert len(Reader(page).all("source")) == 8


def test_a_page_of_a_hundred_classes_stays_small(page):
    assert len(page.encode()) < SIZE_LIMIT / 2


def test_the_page_tells_accuracy_speed_machine_command_and_its_limits(page):
    text = re.sub(r"\s+", " ", Reader(page).text)
    for told in ("90.0 % [", "p99 ms", "Example CPU", "edgeproof benchmark tiny", "do not predict another's", "0" * 64):
        assert told in text


def test_extra_sections_are_shown_and_their_markup_is_not_obeyed(page):
    reader = Reader(page)
    assert "<b>loud</b>" in reader.text
    assert "epoch one" in reader.text
    assert not reader.all("b")


def test_long_names_do_not_make_a_title(make_report):
    report = make_report()
    assert title(report) == "Benchmark of tiny-float32.tflite and tiny-int8.tflite"
    long = msgspec.structs.replace(report.files[0], name="x" * 50 + ".tflite")
    assert title(make_report(files=(long, report.files[1]))) == "Benchmark of 2 model files"


def test_synthetic_pictures_and_unstable_figures_are_owned_up_to(make_report, make_block):
    pytest.importorskip("jinja2", reason="needs the report extra")
    pytest.importorskip("matplotlib", reason="needs the report extra")
    shaken = Measurement(threads=1, blocks=(make_block(1.0), make_block(2.0)))
    report = make_report(judged=False)
    page = html(make_report(judged=False, files=(msgspec.structs.replace(report.files[0], measurements=(shaken,)),)))
    assert "Timed with synthetic pictures" in page
    assert "Not stable" in page[: page.index("<main")]


def test_a_page_that_grows_too_large_is_logged(make_report, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(page_module, "html", lambda report, *, extra: "x" * (SIZE_LIMIT + 1))
    write_page(make_report(), tmp_path / "report.html")
    assert "give smaller figures" in caplog.text
    assert (tmp_path / "report.html").exists()


def test_without_jinja2_the_extra_is_named(make_report, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConfigError, match=r"needs jinja2: install edgeproof\[report\]"):
        html(make_report())
