import os
import pty
import subprocess
import sys

import pytest

from edgeproof.runtime import progress

SCRIPT = """
from edgeproof.runtime import progress
{before}
with progress.bar("Reading pictures", 3, note=lambda: "2 left") as advance:
    for _ in range(3):
        advance(1)
print("done")
"""


def on_a_terminal(before=""):
    """What a script writes to a terminal that is its stderr, and what to a pipe that is its stdout."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SCRIPT.format(before=before)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment) as child:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # how Linux says that the other side has closed
            pass
        written = child.stdout.read()
    os.close(ours)
    assert child.returncode == 0
    return shown.decode(), written


def test_in_a_pipe_nothing_is_shown():
    run = subprocess.run([sys.executable, "-c", SCRIPT.format(before="")], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("done\n", "")


def test_on_a_terminal_the_bar_goes_to_stderr_with_its_note():
    shown, written = on_a_terminal()
    assert "Reading pictures" in shown
    assert "3/3" in shown
    assert "2 left" in shown
    assert written == "done\n"


def test_a_silenced_process_shows_no_bar_on_a_terminal_either():
    assert on_a_terminal(before="progress.silence()") == ("", "done\n")


def test_the_note_is_not_asked_for_where_nothing_is_shown():
    def note():
        raise AssertionError("asked")

    with progress.bar("Quiet", 1, note=note) as advance:
        advance(1)


COUNTING = """
from edgeproof.runtime import progress
with progress.count("Pictures", shown={shown}) as advance:
    for _ in range(3):
        advance(2)
"""


@pytest.mark.parametrize("shown", [True, False])
def test_work_without_a_known_end_is_counted_where_it_is_wanted(shown):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", COUNTING.format(shown=shown)]
    subprocess.run(command, stderr=theirs, check=True, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})
    os.write(theirs, b"end")
    seen = os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    assert (b"Pictures 6" in seen) == shown
