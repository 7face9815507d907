"""The two pictures of a report that docs/ shows, from a report.html: `python benchmarks/peers/screenshots.py PAGE OUT`.

`make peers-page` installs what it needs; Chromium must be on the PATH. The desktop's picture is the page's beginning,
the telephone's the beginning of the dark page in three columns.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

PEERS = Path(__file__).parent
MODULES = PEERS.parents[1] / os.environ.get("EDGEPROOF_PEERS", ".venv-peers") / "page" / "node_modules"
DESKTOP_PX, TELEPHONE_PX, COLUMNS, GAP_PX = 1640, 1000, 3, 24
COLOURS = 128


def main() -> None:
    """Write report-desktop.png and report-telephone.png into the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    chromium = browser("peers-page")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        look = ["node", str(PEERS / "page" / "look.mjs"), str(arguments.page), chromium, str(MODULES), scratch]
        subprocess.run(look, check=True, stdout=subprocess.DEVNULL)
        with Image.open(Path(scratch) / "1280-light.png") as whole:
            save(whole.crop((0, 0, whole.width, DESKTOP_PX)), arguments.out / "report-desktop.png")
        with Image.open(Path(scratch) / "390-dark.png") as whole:
            save(columns(whole), arguments.out / "report-telephone.png")


def browser(target: str) -> str:
    """Chromium's path. Ends the script where it or what the make target installs is missing."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None or not MODULES.is_dir():
        raise SystemExit(f"Needs chromium on the PATH and {MODULES}: run make {target}.")
    return found


def columns(whole: Image.Image) -> Image.Image:
    """The first parts of a long picture side by side."""
    sheet = Image.new("RGB", (COLUMNS * (whole.width + GAP_PX) - GAP_PX, TELEPHONE_PX), "white")
    for number in range(COLUMNS):
        part = whole.crop((0, number * TELEPHONE_PX, whole.width, (number + 1) * TELEPHONE_PX))
        sheet.paste(part, (number * (whole.width + GAP_PX), 0))
    return sheet


def save(picture: Image.Image, path: Path) -> None:
    """As a PNG of few colours, which flat pictures do not miss; the method keeps rare ones, such as those of plots."""
    few = picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
