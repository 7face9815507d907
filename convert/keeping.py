"""Verified files under their own names, refused ones as rejected, and never one of each."""

from __future__ import annotations

import logging
from pathlib import Path

from msgspec import structs

from edgeproof.convert.verification import Result
from edgeproof.runtime.atomic import write_bytes

logger = logging.getLogger(__name__)


def keep(result: Result, files: dict[str, bytes], folder: Path, name: str) -> Result:
    """Write files, given by suffix and the one that is opened last, by whether they were accepted.

    What stands under the other name is removed. The result comes back with the name of the file that is opened.
    """
    good, bad = name, f"{name}.rejected"
    kept, stale = (good, bad) if result.accepted else (bad, good)
    for suffix in reversed(files):
        (folder / f"{stale}{suffix}").unlink(missing_ok=True)
    for suffix, content in files.items():
        write_bytes(folder / f"{kept}{suffix}", content)
    opened = f"{kept}{list(files)[-1]}"
    found = result.verification
    logger.info(
        "%s: top-1 %.2f %%, drop %+.2f points, same answers %.2f %%",
        opened,
        100 * found.top1,
        found.drop_points,
        100 * found.same_answers,
    )
    return structs.replace(result, file=opened)
