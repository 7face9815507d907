import msgspec

from edgeproof.benchmarks.overview import HEADER, overview
from edgeproof.runtime.contract import Verification


def test_a_row_holds_size_answers_and_speed_at_the_fewest_threads(make_report):
    row = dict(zip(HEADER, overview(make_report()).rows[1], strict=True))
    assert row["Size"] == "1.00 MB"
    assert row["Top-1 [95 %]"].startswith("60.0 % [")
    assert (row["p50 ms"], row["Images/s"], row["Peak MiB"]) == ("1.00", "1000", "60")
    assert row["Drop"] == row["Same answers"] == "–"


VERIFIED = Verification(
    images=400,
    images_digest="a" * 64,
    reference_top1=0.95,
    reference_top5=1.0,
    top1=0.94,
    top1_interval=(0.91, 0.96),
    top5=1.0,
    drop_points=1.0,
    same_answers=0.975,
    different_answers=10,
    largest_margin_of_a_different_answer=0.1,
    ties=0,
)


def test_what_a_file_carries_is_told_in_points_and_percent(make_report):
    file = msgspec.structs.replace(make_report().files[0], verification=VERIFIED)
    table = overview(make_report(files=(file,)))
    row = dict(zip(HEADER, table.rows[0], strict=True))
    assert row["Drop"] == "1.00 points"
    assert row["Same answers"] == "97.5 %"
    assert "against Keras" in table.caption
