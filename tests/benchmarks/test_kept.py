from pathlib import Path

import msgspec

from edgeproof.benchmarks.kept import Kept, plan_of


def test_blocks_are_found_again_by_the_same_plan_alone(make_block, tmp_path):
    path = tmp_path / "kept"
    first = Kept(path, "plan")
    assert (first.resumed, first.block(0)) == (0, None)
    first.add(0, make_block(1.0))
    first.add(3, make_block(2.0))
    again = Kept(path, "plan")
    assert again.resumed == 2
    assert again.block(3) == make_block(2.0)
    assert again.block(1) is None
    assert Kept(path, "another plan").resumed == 0
    assert Kept(path, "plan").resumed == 0, "another plan takes its place"


def test_a_last_line_that_was_cut_off_is_measured_again(make_block, tmp_path):
    path = tmp_path / "kept"
    kept = Kept(path, "plan")
    kept.add(0, make_block(1.0))
    kept.add(1, make_block(2.0))
    path.write_bytes(path.read_bytes()[:-20])
    again = Kept(path, "plan")
    assert again.resumed == 1
    again.add(1, make_block(3.0))
    assert Kept(path, "plan").block(1) == make_block(3.0)


def test_something_else_in_its_place_is_written_over(tmp_path):
    path = tmp_path / "kept"
    path.write_bytes(b"\xff not ours")
    assert Kept(path, "plan").resumed == 0


def test_the_plan_is_of_contents_and_not_of_paths(job, tmp_path):
    plan = plan_of([job], 2)
    copied = tmp_path / "copy.npy"
    copied.write_bytes(Path(job.pictures).read_bytes())
    assert plan_of([msgspec.structs.replace(job, pictures=str(copied))], 2) == plan
    copied.write_bytes(b"other pictures")
    assert plan_of([msgspec.structs.replace(job, pictures=str(copied))], 2) != plan
    assert plan_of([job], 4) != plan
    assert plan_of([msgspec.structs.replace(job, calls=21)], 2) != plan


def test_clearing_leaves_no_file(tmp_path):
    Kept(tmp_path / "kept", "plan").clear()
    assert not (tmp_path / "kept").exists()
