"""A folder of generated files: complete, or as it was before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgeproof.runtime.errors import ConfigError, DataError


def refuse(out: str | Path, manifest: str, *, overwrite: bool) -> None:
    """Raise `ConfigError` for a place in use; with `overwrite` a folder that holds a file `manifest` is given up."""
    place = Path(out)
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not overwrite:
        raise ConfigError(f"{place} exists. Give --overwrite to replace what an earlier run made, or another --out.")
    if not (place / manifest).is_file():
        raise ConfigError(f"{place} holds no {manifest}, so it was not made by this command. Give another --out.")


def write(files: Mapping[str, bytes], out: str | Path, *, overwrite: bool) -> None:
    """Put files, by their paths in it, into the folder `out`; a folder there is replaced as a whole.

    What `refuse` refuses must not come here. Raises `DataError` where it cannot be written.
    """
    place = Path(out).absolute()
    fresh = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    given_up = place.with_name(f".{place.name}.{os.getpid()}.old.tmp")
    try:
        for name, content in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if overwrite and place.exists():
            os.replace(place, given_up)
        os.replace(fresh, place)
    except OSError as error:
        if given_up.exists() and not place.exists():
            os.replace(given_up, place)
        raise DataError(f"{place} cannot be written: {error.strerror or error}. Choose another place.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(given_up, ignore_errors=True)
