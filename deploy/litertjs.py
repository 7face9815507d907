"""LiteRT.js, which runs a model in a browser: got from npm, held against its pinned hash, and copied into a site.

The packages are other people's (Apache License 2.0) and not part of edgeproof.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeproof.runtime.atomic import write_bytes
from edgeproof.runtime.errors import ConfigError, DataError

VERSION = "2.5.3"
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package: the sha512 of its archive in npm's notation, and which of its files a browser loads."""

    name: str
    integrity: str
    files: tuple[str, ...]

    @property
    def archive(self) -> str:
        """What `npm pack` calls the archive."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{VERSION}.tgz"

    @property
    def folder(self) -> str:
        """The part of the name behind the scope: the package's folder in a site."""
        return self.name.partition("/")[2]


# The variant called compat is for browsers without relaxed SIMD; a browser loads one of the two.
CORE = Package(
    "@litertjs/core",
    "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
    (
        "package.json",
        "dist/index.js",
        *(f"wasm/litert_wasm_{kind}.{suffix}" for kind in ("internal", "compat_internal") for suffix in ("js", "wasm")),
    ),
)
WASM_UTILS = Package(
    "@litertjs/wasm-utils",
    "sha512-4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
    ("package.json", "dist/index.js"),
)
PACKAGES = (CORE, WASM_UTILS)
# What no browser loads, or only those without relaxed SIMD.
UNLOADED = {
    *(f"{CORE.folder}/{name}" for name in CORE.files if "compat" in name),
    *(f"{package.folder}/package.json" for package in PACKAGES),
    "NOTICE.txt",
}

Files = Mapping[Package, Mapping[str, bytes]]


def files(given: str | Path | None = None) -> Files:
    """The files of both packages: from `given`, or from the cache, which npm fills first.

    `given` is a node_modules folder, a folder with the archives that `npm pack` leaves, or the archive of
    @litertjs/core beside the other. Archives are held against their hashes; of unpacked packages only the version is
    looked at. Raises `ConfigError` for what is missing or another version, and where npm is not there or fails.
    """
    if given is None:
        place = cache()
        return {package: _unpacked(_cached(package, place), package) for package in PACKAGES}
    place = Path(given)
    if place.is_file():
        place = place.parent
    if (place / CORE.name).is_dir():
        return {package: _installed(place / package.name, package) for package in PACKAGES}
    return {package: _unpacked(_read(place / package.archive, package), package) for package in PACKAGES}


def cache() -> Path:
    """The folder that archives are kept in: $XDG_CACHE_HOME/edgeproof/litertjs, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeproof" / "litertjs"


def _cached(package: Package, place: Path) -> bytes:
    kept = place / package.archive
    if not kept.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            content = _packed(package, Path(scratch))
        _check(content, package, "what npm gave")
        write_bytes(kept, content)
    return _read(kept, package)


def _packed(package: Package, folder: Path) -> bytes:
    """Let npm fetch an archive. Its scripts do not run: pack only downloads."""
    npm = shutil.which("npm")
    wanted = f"{package.name}@{VERSION}"
    otherwise = "get it on another machine with `npm pack` and give --litert-js FOLDER"
    if npm is None:
        raise ConfigError(
            f"LiteRT.js ({wanted}) is got by npm, which is not on the PATH. Install Node.js, or {otherwise}."
        )
    command = [npm, "pack", wanted, "--pack-destination", str(folder), "--loglevel=error"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        raise ConfigError(f"npm pack {wanted} took longer than {SECONDS} s. Try again, or {otherwise}.") from None
    if run.returncode != 0 or not (folder / package.archive).is_file():
        reason = next((line for line in run.stderr.splitlines() if line.strip()), f"status {run.returncode}")
        raise ConfigError(f"npm pack {wanted} failed ({reason.strip()}). Try again, or {otherwise}.")
    return (folder / package.archive).read_bytes()


def _read(path: Path, package: Package) -> bytes:
    try:
        content = path.read_bytes()
    except OSError:
        needed = f"a folder with {', '.join(each.archive for each in PACKAGES)}, or a node_modules folder with both"
        raise ConfigError(f"{path} is not there. Give --litert-js {needed}.") from None
    _check(content, package, str(path))
    return content


def _check(content: bytes, package: Package, where: str) -> None:
    algorithm, _, wanted = package.integrity.partition("-")
    if base64.b64encode(hashlib.new(algorithm, content).digest()).decode() != wanted:
        raise DataError(
            f"{where}: not the archive of {package.name} {VERSION} (its hash differs). Remove it and try again."
        )


def _unpacked(archive: bytes, package: Package) -> dict[str, bytes]:
    """The wanted files of an archive, by name; nothing is written, so its paths and permissions do not matter."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        found = {name: tar.extractfile(f"package/{name}") for name in package.files}
        return {name: file.read() for name, file in found.items() if file is not None}


def _installed(folder: Path, package: Package) -> dict[str, bytes]:
    try:
        found = {name: (folder / name).read_bytes() for name in package.files}
        version = json.loads(found["package.json"])["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} is no package {package.name} {VERSION} ({error}). Get it with npm.") from None
    if version != VERSION:
        raise ConfigError(f"{folder} is version {version}; this edgeproof is made for {VERSION}. Give that one.")
    return found


def named(found: Files) -> dict[str, bytes]:
    """The packages' files by their place in a site, one folder a package, unchanged, with a notice of what they are."""
    lines = [f"{package.name} {VERSION}, in {package.folder}/, {package.integrity}" for package in found]
    placed = {f"{package.folder}/{name}": each for package, files in found.items() for name, each in files.items()}
    return {**placed, "NOTICE.txt": (NOTICE + "\n".join(lines) + "\n").encode()}


NOTICE = """\
The files in this folder are LiteRT.js, by Google and the LiteRT authors (repository google-ai-edge/LiteRT),
unchanged, under the Apache License, Version 2.0: www.apache.org/licenses/LICENSE-2.0
Give that licence along with them. They are these npm packages, with the hashes of their archives:

"""
