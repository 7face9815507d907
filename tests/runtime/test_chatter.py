import os
import subprocess
import sys

import pytest

NATIVE = "import os; os.write(1, b'native out\\n'); os.write(2, b'native err\\n')"


def run(*lines, closed="", **environment):
    """Run lines of Python with `silenced` imported, and give back (stdout, stderr)."""
    script = "\n".join(["import sys", "from edgeproof.runtime.chatter import silenced", *lines])
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_what_native_code_writes_in_the_block_is_not_heard_and_what_comes_after_is():
    lines = (
        "print('before')",
        f"with silenced(): {NATIVE}",
        "print('after')",
        "print('note', file=sys.stderr)",
    )
    assert run(*lines) == ("before\nafter\n", "note\n")


def test_what_python_had_not_written_out_before_the_block_is_not_lost():
    assert run("sys.stdout.write('half a line')", f"with silenced(): {NATIVE}") == ("half a line", "")


def test_an_error_in_the_block_restores_the_streams():
    lines = ("try:", "    with silenced(): raise KeyError('x')", "except KeyError: print('heard')")
    assert run(*lines) == ("heard\n", "")


def test_blocks_within_blocks_are_silent_to_the_end_of_the_outer_one():
    lines = ("with silenced():", "    with silenced(): pass", f"    {NATIVE}", "print('heard')")
    assert run(*lines) == ("heard\n", "")


def test_a_setting_lets_all_through():
    heard = run(f"with silenced(): {NATIVE}", EDGEPROOF_NATIVE_LOG="1")
    assert heard == ("native out\n", "native err\n")


def test_blocks_leave_no_descriptors_open():
    lines = (
        "import os",
        "before = os.listdir('/dev/fd')",
        "for _ in range(100):",
        "    with silenced(): pass",
        "print(len(os.listdir('/dev/fd')) - len(before))",
    )
    assert run(*lines) == ("0\n", "")


@pytest.mark.parametrize(("closed", "heard"), [(">&-", ("", "err\n")), ("2>&-", ("out\n", "")), (">&- 2>&-", ("", ""))])
def test_a_process_whose_streams_were_closed_runs_all_the_same(closed, heard):
    lines = (
        "with silenced(): pass",
        "sys.stdout and print('out')",
        "sys.stderr and print('err', file=sys.stderr)",
    )
    assert run(*lines, closed=closed) == heard
