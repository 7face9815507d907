"""`edgeproof compare` and `edgeproof report`: streams, statuses and width."""

import json
from importlib import util
from pathlib import Path

import pytest
from msgspec.structs import replace

from edgeproof.benchmarks import report as reports
from edgeproof.benchmarks.blocks import Block, Measurement
from edgeproof.benchmarks.environment import Environment
from edgeproof.benchmarks.report import FileReport, Report

pytestmark = pytest.mark.usefixtures("narrow")

MACHINE = Environment(
    **{"cpu": "Example CPU", "architecture": "x86_64", "cores": 4, "usable_cores": 2, "memory_mb": 8192},
    **{"system": "Linux 6", "python": "CPython 3.12", "packages": {"numpy": "2"}},
)
LONG_NAME = "cifar100-mobilenetv2-100-96-float32.tflite"


@pytest.fixture
def written(tmp_path):
    """Write a report of a file that takes so many milliseconds a call, and return its path."""

    def write(name, median_ms, *, machine=MACHINE, files=(LONG_NAME,)):
        def block(number):
            length = median_ms * 1e6 * (1 + 0.002 * (number % 4))
            return Block(
                **{"import_ms": 150.0, "load_ms": 40.0, "first_answer_ms": 2.0, "images_per_s": 1000 / median_ms},
                **{"rss_before_mb": 40.0, "rss_loaded_mb": 55.0, "rss_peak_mb": 60.0},
                samples_ns=tuple(int(length * (1 + 0.01 * call)) for call in range(20)),
            )

        measurements = (Measurement(threads=1, blocks=tuple(map(block, range(8)))),)
        kept = tuple(
            FileReport(
                **{"name": each, "recipe": "float32", "sha256": str(number) * 64, "size_bytes": 11_707_893},
                **{"input_size": (96, 96), "labels": ("a", "b"), "measurements": measurements},
            )
            for number, each in enumerate(files)
        )
        report = Report(
            **{"data_name": "", "synthetic_pictures": True, "images": 0, "command": "edgeproof benchmark"},
            **{"created": "2026-01-02T03:04:05+00:00", "environment": machine, "files": kept},
        )
        reports.write(report, tmp_path / name)
        return tmp_path / name

    return write


def test_a_slower_run_has_status_1_and_fits_80_columns(edgeproof, written):
    status, out, err = edgeproof("compare", written("old.json", 2.0), written("new.json", 2.4))
    assert (status, err) == (1, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "regression" in out
    assert f"Regression beyond 5 %: p10 of {LONG_NAME} with 1 thread" in " ".join(out.split())


def test_an_equal_run_has_status_0_and_another_machine_2(edgeproof, written):
    old = written("old.json", 2.0)
    assert edgeproof("compare", old, written("new.json", 2.0))[0] == 0
    elsewhere = written("elsewhere.json", 9.0, machine=replace(MACHINE, cpu="Other CPU"))
    status, out, _ = edgeproof("compare", old, elsewhere)
    assert status == 2
    assert "Another machine (cpu Example CPU and Other CPU)" in out
    assert edgeproof("compare", old, elsewhere, "--metrics", "size")[0] == 0


def test_the_limit_and_the_metrics_are_the_users(edgeproof, written):
    pair = written("old.json", 2.0), written("new.json", 2.4)
    assert edgeproof("compare", *pair, "--fail-on", "50%")[0] == 0
    assert edgeproof("compare", *pair, "--metrics", "memory,size")[0] == 0
    assert edgeproof("compare", *pair, "--fail-on", "much")[0] == 2
    assert "unknown 'speed'" in edgeproof("compare", *pair, "--metrics", "speed")[2]


def test_one_report_of_two_files_is_compared_with_itself(edgeproof, written):
    status, out, _ = edgeproof("compare", written("both.json", 2.0, files=("a.tflite", "b.tflite")))
    assert status == 0
    assert "a.tflite → b.tflite, matched by order" in out
    assert edgeproof("compare", written("one.json", 2.0))[0] == 2


def test_markdown_and_json_say_the_same(edgeproof, written):
    pair = written("old.json", 2.0), written("new.json", 2.4)
    status, out, _ = edgeproof("compare", *pair, "--markdown")
    assert (status, out.splitlines()[0]) == (1, "## Regression")
    status, out, _ = edgeproof("compare", *pair, "--json")
    document = json.loads(out)
    assert (status, document["status"], document["schema"]) == (1, 1, 1)
    assert document["decisions"][0]["verdict"] == "regression"


def test_three_reports_are_no_comparison(edgeproof, written):
    one = written("one.json", 2.0)
    status, _, err = edgeproof("compare", one, one, one)
    assert status == 2
    assert "compare takes one report or two, found 3" in err


def test_two_machines_are_merged_into_one_report(edgeproof, written, tmp_path):
    elsewhere = written("b.json", 9.0, machine=replace(MACHINE, cpu="Other CPU"))
    status, out, _ = edgeproof("report", written("a.json", 2.0), elsewhere, "--out", tmp_path / "all", "--quiet")
    assert status == 0
    assert "B  Other CPU, 2 of 4 cores" in out
    assert max(len(line) for line in out.splitlines() if "/" not in line) <= 80
    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert {"report.json", "report.md"} <= names
    extra = util.find_spec("jinja2") and util.find_spec("matplotlib")
    assert ("report.html" in names) == bool(extra)


def test_a_card_and_a_table_come_from_one_report(edgeproof, written, tmp_path):
    one, table = written("a.json", 2.0), tmp_path / "figures.csv"
    status, out, _ = edgeproof("report", one, "--card", tmp_path / "README.md", "--csv", table, "--license", "MIT")
    assert status == 0
    assert out.splitlines()[-2].startswith("Written: ")
    assert "license: mit" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert len(table.read_text(encoding="utf-8").splitlines()) == 2
    status, _, err = edgeproof("report", one, one, "--card", tmp_path / "two.md")
    assert status == 2
    assert "a card tells of one machine" in err


def test_the_verbs_are_described(edgeproof):
    text = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text(encoding="utf-8")
    for verb in ("compare", "report"):
        assert f"\n## {verb}\n" in text
        for option in ("--fail-on", "--metrics", "--markdown", "--card", "--csv", "--out"):
            assert option in text
