import msgspec
import pytest

from edgeproof.benchmarks import details
from edgeproof.benchmarks.blocks import Batches, Stages
from edgeproof.benchmarks.report import Backend, Execution, Operator, Profile


@pytest.fixture
def full(make_report):
    """A report with one file that has everything."""
    report = make_report(paced_ms=33.0, stage_files="16 files")
    file = report.files[0]
    block = msgspec.structs.replace(
        file.measurements[0].blocks[0],
        load_ms=40.0,
        interpreter_ms=25.0,
        allocate_ms=5.0,
        paced_ns=(8_000_000,) * 20,
        offline=(Batches(batch=1, images=100, seconds=1.0), Batches(batch=8, images=300, seconds=1.0)),
        stages=Stages(
            decode_ns=(2_000_000,) * 3,
            resize_ns=(1_000_000,) * 3,
            enter_ns=(10_000,) * 3,
            invoke_ns=(4_000_000,) * 3,
            top_ns=(20_000,) * 3,
            together_ns=(7_100_000,) * 3,
        ),
    )
    measurement = msgspec.structs.replace(file.measurements[0], blocks=(block, block))
    operators = tuple(
        Operator(number=n, kind="CONV_2D", tensor="t", layer=f"conv{n}", samples_ns=((n + 1) * 1000,) * 20)
        for n in range(12)
    )
    whole = msgspec.structs.replace(
        file,
        measurements=(measurement,),
        arena_mb=1.5,
        execution=Execution(operators=12, delegated=11, delegate="XNNPACK"),
        profile=Profile(operators=operators, whole_ns=(70_000,)),
        backends=(
            Backend(name="xnnpack", threads=1, batch=1, blocks_ns=((1_000_000,),), pictures=200),
            Backend(name="builtin", threads=1, batch=8, blocks_ns=((4_000_000,),), pictures=200, flips=3),
            Backend(name="compiled", threads=1, batch=1, error="killed by SIGSEGV"),
        ),
    )
    return msgspec.structs.replace(report, files=(whole,))


def rows_of(report, title):
    table = details.all_of(report)[title]
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_a_report_without_these_figures_has_only_the_table_of_latency(make_report):
    assert list(details.all_of(make_report())) == ["Latency"]


def test_a_full_report_has_every_table(full):
    assert list(details.all_of(full)) == [
        *("Latency", "Cold start", "Offline", "Stages", "Memory", "Backends", "Operators")
    ]


def test_latency_has_intervals_paced_calls_and_the_file_against_itself(full):
    (row,) = rows_of(full, "Latency")
    assert row["p50"] == "4.00 [4.00–4.00]"
    assert (row["Paced p50"], row["Early stopping"]) == ("8.00", "–")
    assert row["A/A"].startswith("1.00 [")


def test_the_parts_of_a_cold_start_add_up(full):
    (row,) = rows_of(full, "Cold start")
    assert [row[name] for name in ("Import", "Read and check", "Interpreter", "Allocate", "First call")] == [
        *("150", "10.0", "25.0", "5.00", "8.00")
    ]
    assert row["Together"] == "198"


def test_offline_has_a_column_a_batch_size(full):
    assert rows_of(full, "Offline") == [
        {"File": "tiny-float32.tflite", "Threads": "1", "Batch 1": "100", "Batch 8": "300"}
    ]


def test_stages_stand_apart_summed_and_together(full):
    (row,) = rows_of(full, "Stages")
    assert (row["Decode"], row["Invoke"], row["Sum"], row["Together"]) == ("2.00", "4.00", "7.03", "7.10")


def test_stages_are_summed_picture_by_picture(full):
    file = full.files[0]
    block = file.measurements[0].blocks[0]
    # Two stages that are slow on different pictures: their medians say nothing of it.
    uneven = msgspec.structs.replace(
        block.stages, decode_ns=(2_000_000, 2_000_000, 9_000_000), invoke_ns=(9_000_000, 4_000_000, 4_000_000)
    )
    measurement = msgspec.structs.replace(file.measurements[0], blocks=(msgspec.structs.replace(block, stages=uneven),))
    changed = msgspec.structs.replace(full, files=(msgspec.structs.replace(file, measurements=(measurement,)),))
    (row,) = rows_of(changed, "Stages")
    assert (row["Decode"], row["Invoke"], row["Sum"]) == ("2.00", "4.00", "12.0")


def test_memory_names_the_delegate_and_its_share(full):
    (row,) = rows_of(full, "Memory")
    assert (row["Activations"], row["Delegate"]) == ("1.50", "XNNPACK: 11 of 12 operators")


def test_a_backend_is_compared_by_pictures_and_a_crash_is_told(full):
    first, batched, crashed = rows_of(full, "Backends")
    assert (first["Backend"], first["Times as fast"]) == ("XNNPACK", "1.00")
    assert (batched["p50 ms"], batched["Times as fast"], batched["Other top-1"]) == ("4.00", "2.00", "3 of 200")
    assert crashed["Largest difference"] == "killed by SIGSEGV"


def test_the_slowest_operators_come_first_with_the_sum_last(full):
    rows = rows_of(full, "Operators")
    assert len(rows) == 11
    assert (rows[0]["Layer"], rows[0]["µs"]) == ("conv11", "12")
    assert (rows[-1]["Layer"], rows[-1]["µs"]) == ("whole graph: 70 µs", "78")
