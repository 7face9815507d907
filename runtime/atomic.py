"""Files that are whole or absent: written under a temporary name, synced, and moved into place."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident

from edgeproof.runtime.errors import DataError

# In a temporary name: the process, and its thread.
_OWNER = re.compile(r"\.(\d+)-\d+\.tmp")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix, that replaces `path` when the block succeeds.

    A block that raises, or a killed process, leaves the previous file as it was. Raises `DataError` when the
    place cannot be written.
    """
    final = Path(path)
    temporary = final.with_name(f".{final.stem}.{os.getpid()}-{get_ident()}.tmp{final.suffix}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        os.replace(temporary, final)
        _sync(final.parent)
    except OSError as error:
        raise DataError(f"{final} cannot be written: {error.strerror or error}. Choose another place.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Put `content` under `path`, whole or not at all. Raises `DataError` when it cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """Put UTF-8 `content` under `path`, whole or not at all. Raises `DataError` when it cannot be written."""
    write_bytes(path, content.encode())


def writable_folder(path: str | Path) -> Path:
    """Make the folder `path`, prove that a file can be written there, and return it. Raises `DataError`."""
    folder = Path(path)
    probe = folder / f".probe.{os.getpid()}-{get_ident()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{folder} is no folder that can be written: {reason}. Give another --out.") from error
    return folder


def remove_stale(folder: str | Path) -> None:
    """Remove what killed processes left under temporary names in a folder and those inside it.

    What another living process of this machine writes is left alone; this one's own is taken for a namesake's.
    """
    for path in Path(folder).rglob(".*.tmp*"):
        found = _OWNER.search(path.name)
        if found and (int(found[1]) == os.getpid() or not _alive(int(found[1]))):
            with suppress(OSError):
                path.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
