import msgspec
import pytest

from edgeproof.benchmarks import bars
from edgeproof.benchmarks.blocks import Stages


def changed(report, **fields):
    """The report with these fields in every block."""
    replace = msgspec.structs.replace

    def measured(one):
        return replace(one, blocks=tuple(replace(block, **fields) for block in one.blocks))

    files = tuple(replace(file, measurements=tuple(map(measured, file.measurements))) for file in report.files)
    return replace(report, files=files)


def test_the_words_of_the_bars_hold_the_sum_and_its_parts(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    report = make_report()
    assert (
        "float32.tflite 198 milliseconds, of which import 150, load 40.0, first answer" in bars.cold_start(report).alt
    )
    assert "float32.tflite 60.0 MiB, of which before 40.0, loading 15.0, answering 5.00" in bars.memory(report).alt


def test_loading_is_split_where_every_file_was_measured_so(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    alt = bars.cold_start(changed(make_report(), interpreter_ms=20.0, allocate_ms=5.0)).alt
    assert "of which import 150, read and check 15.0, interpreter 20.0, allocate 5.00, first answer" in alt


def test_stages_are_drawn_only_where_they_were_measured(make_report):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    report = make_report()
    assert bars.stages(report) is None
    names = ("decode_ns", "resize_ns", "enter_ns", "invoke_ns", "top_ns", "together_ns")
    stages = Stages(**{name: (10**6 * place,) for place, name in enumerate(names, 1)})
    assert (
        "15.0 milliseconds, of which decode 1.00, resize 2.00, quantise 3.00"
        in bars.stages(changed(report, stages=stages)).alt
    )
