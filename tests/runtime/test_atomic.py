import os
import signal
import subprocess
import sys
import threading

import pytest

from edgeproof.runtime import DataError, atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(path, problem):
    with atomic.replacing(path) as temporary:
        temporary.write_text("half")
        raise problem


def test_a_block_that_succeeds_replaces_the_file(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with atomic.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["metrics.json"]


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with pytest.raises(KeyError, match="mine"):
        write_half(path, KeyError("mine"))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["metrics.json"]


def test_an_interrupted_first_writing_leaves_no_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "model.keras", KeyboardInterrupt())
    assert names(tmp_path) == []


def test_the_temporary_name_has_the_suffix_and_the_folder_of_the_file(tmp_path):
    with atomic.replacing(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"  # Keras chooses the format by it
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        temporary.touch()


def test_missing_folders_are_made(tmp_path):
    atomic.write_text(tmp_path / "a" / "b" / "note.txt", "Grüße")
    assert (tmp_path / "a" / "b" / "note.txt").read_bytes() == "Grüße".encode()


@pytest.mark.parametrize("content", [b"", b"\r\n\x00", bytes(100_000)])
def test_bytes_are_written_as_they_are(content, tmp_path):
    atomic.write_bytes(str(tmp_path / "x.bin"), content)
    assert (tmp_path / "x.bin").read_bytes() == content


def test_a_block_that_writes_nothing_is_no_success(tmp_path):
    path = tmp_path / "x.bin"
    path.write_text("old")
    with pytest.raises(DataError, match=r"x\.bin cannot be written"), atomic.replacing(path):
        pass
    assert path.read_text() == "old"


# The superuser may write anywhere, so that a place below a regular file stands for a forbidden one.
def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/x\.txt cannot be written: .+\. Choose another place"):
        atomic.write_text(tmp_path / "file" / "x.txt", "new")


def test_a_folder_in_the_place_of_the_file_is_left_alone(tmp_path):
    (tmp_path / "x.txt").mkdir()
    with pytest.raises(DataError, match=r"x\.txt cannot be written: Is a directory"):
        atomic.write_text(tmp_path / "x.txt", "new")
    assert names(tmp_path) == ["x.txt"]


def test_a_killed_process_leaves_the_old_content(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    script = (
        "import sys, time\n"
        "from edgeproof.runtime import atomic\n"
        "with atomic.replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    print('in the block', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "in the block\n"
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    atomic.write_text(path, "new")
    assert path.read_text() == "new"


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "x.bin"
    versions = [bytes([digit]) * 200_000 for digit in range(4)]
    atomic.write_bytes(path, versions[0])
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        for version in versions:
            atomic.write_bytes(path, version)
    done.set()
    reader.join()
    assert seen <= set(versions)


def test_two_threads_that_write_the_same_file_leave_one_of_the_two(tmp_path):
    path = tmp_path / "x.bin"
    versions = [bytes([digit]) * 50_000 for digit in range(4)]
    problems = []

    def write(version):
        try:
            for _ in range(10):
                atomic.write_bytes(path, version)
        except DataError as error:
            problems.append(error)

    writers = [threading.Thread(target=write, args=(version,)) for version in versions]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert problems == []
    assert path.read_bytes() in versions
    assert names(tmp_path) == ["x.bin"]


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    assert atomic.writable_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert names(tmp_path / "a" / "b") == []


def test_a_writable_folder_keeps_what_it_holds(tmp_path):
    (tmp_path / "kept.txt").write_text("old")
    atomic.writable_folder(tmp_path)
    assert names(tmp_path) == ["kept.txt"]


@pytest.mark.parametrize("below", ["", "sub"])
def test_a_folder_that_cannot_be_written_is_named(below, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file.* is no folder that can be written: .+\. Give another --out"):
        atomic.writable_folder(tmp_path / "file" / below)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="Permission denied"):
        atomic.writable_folder(tmp_path)


def test_what_killed_processes_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    kept = ["model.npz", ".hidden", ".tmp", f".model.{os.getppid()}-1.tmp.npz", ".model.later.tmp.npz"]
    stale = [f".model.{child.pid}-140.tmp.npz", f"in/.1-5.{child.pid}-2.tmp.json", f".probe.{os.getpid()}-1.tmp"]
    (tmp_path / "in").mkdir()
    for name in (*kept, *stale):
        (tmp_path / name).touch()
    atomic.remove_stale(str(tmp_path))
    assert names(tmp_path) == sorted([*kept, "in"])
    assert names(tmp_path / "in") == []
    atomic.remove_stale(tmp_path / "gone")
