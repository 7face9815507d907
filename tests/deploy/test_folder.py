"""A generated folder is complete, or as it was before."""

import os

import pytest

from edgeproof.deploy import folder
from edgeproof.runtime.errors import ConfigError, DataError


def test_files_are_written_with_their_folders(tmp_path):
    folder.write({"a.txt": b"a", "b/c.txt": b"c"}, tmp_path / "out", overwrite=False)
    assert (tmp_path / "out" / "b" / "c.txt").read_bytes() == b"c"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_what_an_earlier_run_made_is_given_up(tmp_path):
    out = tmp_path / "out"
    folder.refuse(out, "mark", overwrite=False)
    out.mkdir()
    folder.refuse(out, "mark", overwrite=False)  # an empty folder is free
    (out / "mine").touch()
    with pytest.raises(ConfigError, match=r"exists\. Give --overwrite"):
        folder.refuse(out, "mark", overwrite=False)
    with pytest.raises(ConfigError, match="holds no mark"):
        folder.refuse(out, "mark", overwrite=True)
    (out / "mark").touch()
    folder.refuse(out, "mark", overwrite=True)
    folder.write({"new": b""}, out, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["new"]


def test_a_file_in_the_place_is_never_given_up(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match="was not made by this command"):
        folder.refuse(tmp_path / "out", "mark", overwrite=True)


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch):
    folder.write({"old": b""}, tmp_path / "out", overwrite=False)
    real = os.replace

    def full(source, target):
        if str(source).endswith(".tmp") and not str(source).endswith(".old.tmp"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        folder.write({"new": b""}, tmp_path / "out", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "old").is_file()
