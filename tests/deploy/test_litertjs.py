"""Other people's packages: fetched by npm once, checked, never taken on trust."""

import base64
import hashlib
import io
import json
import os
import tarfile

import pytest

from edgeproof.deploy import litertjs
from edgeproof.deploy.litertjs import CORE, PACKAGES, VERSION, WASM_UTILS
from edgeproof.runtime.errors import ConfigError, DataError


def archive(package, **extra):
    """A .tgz with the package's files and odd permissions, as npm's have."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in {**{name: name.encode() for name in package.files}, **extra}.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode = len(content), 0o100
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def installed(tmp_path):
    """A node_modules folder of the right version with nothing in its files."""
    for package in PACKAGES:
        for name in package.files:
            file = tmp_path / package.name / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"version": VERSION}) if name == "package.json" else name)
    return tmp_path


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """A folder with both archives, whose hashes are the pinned ones here."""
    pinned = []
    for package in PACKAGES:
        content = archive(package)
        (tmp_path / package.archive).write_bytes(content)
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        pinned.append(litertjs.Package(package.name, f"sha512-{digest}", package.files))
    monkeypatch.setattr(litertjs, "PACKAGES", tuple(pinned))
    return tmp_path


def npm(folder, script):
    """A program called npm that does what `script` says, alone on the PATH with what that needs."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"


def test_both_packages_are_pinned_by_a_whole_sha512():
    for package in (CORE, WASM_UTILS):
        algorithm, _, digest = package.integrity.partition("-")
        assert algorithm == "sha512"
        assert len(base64.b64decode(digest)) == 64


def test_an_installed_package_gives_the_files_that_a_browser_loads(installed):
    found = litertjs.named(litertjs.files(installed))
    assert found["core/dist/index.js"] == b"dist/index.js"
    assert {name for name in found if name.endswith(".wasm")} == {
        "core/wasm/litert_wasm_internal.wasm",
        "core/wasm/litert_wasm_compat_internal.wasm",
    }
    assert "Apache License" in found["NOTICE.txt"].decode()
    assert CORE.integrity in found["NOTICE.txt"].decode()


def test_another_version_is_refused(installed):
    (installed / CORE.name / "package.json").write_text('{"version": "1.0.0"}')
    with pytest.raises(ConfigError, match=f"is version 1.0.0; this edgeproof is made for {VERSION}"):
        litertjs.files(installed)


def test_a_package_without_one_of_its_files_is_refused(installed):
    (installed / CORE.name / "dist" / "index.js").unlink()
    with pytest.raises(ConfigError, match="is no package @litertjs/core"):
        litertjs.files(installed)


def test_archives_are_read_from_a_folder_or_by_the_name_of_one(archives):
    found = litertjs.named(litertjs.files(archives))
    assert found["wasm-utils/dist/index.js"] == b"dist/index.js"
    assert litertjs.named(litertjs.files(archives / CORE.archive)) == found


def test_an_archive_with_another_hash_is_refused(tmp_path):
    for package in PACKAGES:
        (tmp_path / package.archive).write_bytes(archive(package))
    with pytest.raises(DataError, match=r"litertjs-core-.*hash differs"):
        litertjs.files(tmp_path)


def test_a_folder_without_the_packages_is_told_what_is_wanted(tmp_path):
    with pytest.raises(ConfigError, match=r"is not there. Give --litert-js a folder with litertjs-core-2"):
        litertjs.files(tmp_path)


def test_npm_is_asked_once_and_the_cache_afterwards(archives, tmp_path, monkeypatch):
    script = f'echo "$2" >> {tmp_path}/asked; cp {archives}/*.tgz "$4"'
    monkeypatch.setenv("PATH", npm(tmp_path / "bin", script))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = litertjs.files(), litertjs.files()
    assert litertjs.named(first) == litertjs.named(second) == litertjs.named(litertjs.files(archives))
    assert (tmp_path / "asked").read_text().split() == [f"{package.name}@{VERSION}" for package in PACKAGES]


def test_what_npm_gives_is_not_kept_unless_its_hash_is_right(archives, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", npm(tmp_path / "bin", f'echo other > "$4/{CORE.archive}"'))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="what npm gave: not the archive"):
        litertjs.files()
    assert not list((tmp_path / "cache").rglob("*.tgz"))


def test_without_npm_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match=r"npm, which is not on the PATH.*--litert-js FOLDER"):
        litertjs.files()


def test_a_failing_npm_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", npm(tmp_path / "bin", "echo 'npm error no network' >&2; exit 1"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match=r"failed \(npm error no network\)"):
        litertjs.files()
