"""The pictures of `edgeproof web` that docs/ shows: `python benchmarks/peers/web_screenshots.py OUT`.

`make peers-web` installs what it needs; Chromium must be on the PATH. The page is that of the shipped file;
the telephone's picture shows it in both schemes.
"""

import argparse
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from PIL import Image
from screenshots import GAP_PX, MODULES, PEERS, browser

from edgeproof import models
from edgeproof.deploy import litertjs, serving, subject, web

DESKTOP_PX, TELEPHONE_PX = 1240, 1500


def main() -> None:
    """Write web-desktop.png and web-telephone.png into the folder; all four shots whole with --whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--whole", action="store_true", help="keep the four shots, uncut")
    arguments = parser.parse_args()
    chromium = browser("peers-web")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        shots = Path(scratch)
        shoot(shots, chromium)
        if arguments.whole:
            for shot in shots.glob("*.png"):
                shutil.copy(shot, arguments.out)
            return
        with Image.open(shots / "web-desktop-light.png") as light:
            save(light.crop((0, 0, light.width, min(light.height, DESKTOP_PX))), arguments.out / "web-desktop.png")
        sheet = Image.new("RGB", (2 * 390 + GAP_PX, TELEPHONE_PX), "white")
        for number, scheme in enumerate(("light", "dark")):
            with Image.open(shots / f"web-telephone-{scheme}.png") as shot:
                sheet.paste(shot.crop((0, 0, shot.width, TELEPHONE_PX)), (number * (shot.width + GAP_PX), 0))
        save(sheet, arguments.out / "web-telephone.png")


def shoot(shots: Path, chromium: str) -> None:
    """Let the page's driver make its screenshots of the shipped file's page."""
    site = shots / "site"
    web.write(subject.read(models.path(models.CLASSIFIER)), site, runtime=litertjs.files(MODULES))
    with serving.server(site) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        driver = PEERS / "page" / "web.mjs"
        command = ["node", str(driver), serving.address(found), chromium, str(MODULES), "look", str(shots)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.shutdown()


def save(picture: Image.Image, path: Path) -> None:
    """As a PNG of few colours: those of the page exactly, those of the samples nearly."""
    few = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
