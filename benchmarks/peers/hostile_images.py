"""Damages pictures of every format in thousands of ways, and looks for crashes, hangs and large memory.

    python benchmarks/peers/hostile_images.py [--count 10000] [--seed 0]

A child process decodes them as `edgeproof classify` does, then the odd kinds of tests/runtime/test_decoding.py, bombs,
and what is no file. Ends with status 1 where the child died, a picture took longer than 2 s, an error was none of
ours, or the process grew to more than 200 MB.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
SECONDS_LIMIT, MEMORY_LIMIT_MB = 2.0, 200.0
INTERESTING = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\xff\xff", b"\0\0"]


# --- the pictures ---------------------------------------------------------------------------------------------------


def odd_kinds() -> dict[str, bytes]:
    """The pictures that the tests hold to their pixels."""
    spec = importlib.util.spec_from_file_location("odd", ROOT / "tests" / "runtime" / "test_decoding.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: content for name, (content, *_) in module.KINDS.items()}


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, body: bytes, depth: int = 1, colour: int = 0, *extra: bytes) -> bytes:
    """A PNG that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A picture in a format."""
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def scans(times: int, side: int) -> bytes:
    """A progressive JPEG that goes over its pixels again and again."""
    content = saved(Image.new("L", (side, side), 100), "JPEG", progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:start] + (content[start:-2]) * times + content[-2:]


def bombs() -> dict[str, bytes]:
    """Small files that claim, or really hold, many pixels."""
    zeros = {side: zlib.compress(bytes(side * ((side + 7) // 8 + 1)), 9) for side in (10_000, 16_000, 30_000)}
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(200_000_000), 9))
    profile = chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(200_000_000), 9))
    webp = saved(Image.new("L", (16, 16)), "WEBP", lossless=True)
    return {
        **{f"1-bit PNG of {side}²": png(side, side, body) for side, body in zeros.items()},
        "PNG that claims 2³¹ rows": png(1, 2**31 - 1, b""),
        "PNG with a text of 200 MB": png(8, 1, zlib.compress(b"\0\0"), 1, 0, text),
        "PNG with a profile of 200 MB": png(8, 1, zlib.compress(b"\0\0"), 1, 0, profile),
        "grey PNG of 10,000²": png(10_000, 10_000, zlib.compress(bytes(10_000 * 10_001), 9), 8),
        "RGBA PNG of 5,400²": png(5_400, 5_400, zlib.compress(bytes(5_400 * (4 * 5_400 + 1)), 9), 8, 6),
        "GIF of 65,535²": saved(Image.new("P", (8, 8)), "GIF").replace(b"\x08\0\x08\0", b"\xff\xff\xff\xff"),
        "GIF of 9,000²": saved(Image.new("P", (9_000, 9_000)), "GIF"),
        "TIFF, fax, of 10,000²": saved(Image.new("1", (10_000, 10_000)), "TIFF", compression="group4"),
        "TIFF, LZW, of 5,000²": saved(Image.new("RGB", (5_000, 5_000)), "TIFF", compression="tiff_lzw"),
        "WebP of 16,383²": saved(Image.new("RGB", (16_383, 2_000)), "WEBP", lossless=True, method=0, quality=0),
        "WebP that claims more": webp[:21] + b"\xff\xff\xff\x0f" + webp[25:],
        "PPM that claims 10⁹ pixels": b"P6 100000 10000 255\n" + bytes(1000),
        "PPM in letters": b"P3 3000 3000 255\n" + b"7 " * 27_000_000,
        "PPM of 7 levels": b"P5 9000 9000 7\n" + bytes(81_000_000),
        "BMP that claims 10⁹ pixels": saved(Image.new("RGB", (8, 8)), "BMP").replace(
            struct.pack("<ii", 8, 8), struct.pack("<ii", 40_000, 25_000)
        ),
        "JPEG of 300 scans, 3,000²": scans(300, 3_000),
        "JPEG of 90 scans, 3,000²": scans(90, 3_000),
        "JPEG of 65,000²": saved(Image.new("L", (16, 16)), "JPEG").replace(b"\0\x10\0\x10", b"\xfd\xe8\xfd\xe8"),
        "progressive JPEG of 6,000²": saved(Image.new("RGB", (6_000, 6_000)), "JPEG", progressive=True),
        "JPEG of 9,000²": saved(Image.new("RGB", (9_000, 9_000)), "JPEG", quality=30),
        "empty": b"",
        "words": b"these are words\n",
    }


def seeds(draw: np.random.Generator) -> list[bytes]:
    """One small picture of every format and mode, with metadata where they can be."""
    noise = Image.fromarray(draw.integers(0, 256, (40, 56, 3), np.uint8))
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "maker"
    kinds = [
        *[("PNG", mode, {"exif": exif}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")],
        *[
            ("JPEG", mode, {"exif": exif, "progressive": each})
            for mode in ("RGB", "L", "CMYK")
            for each in (False, True)
        ],
        *[("TIFF", mode, {}) for mode in ("RGB", "RGBA", "L", "P", "1", "CMYK", "YCbCr", "I;16", "F", "I")],
        *[("TIFF", "RGB", {"compression": each}) for each in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")],
        *[("TIFF", "1", {"compression": each}) for each in ("group3", "group4")],
        *[("WEBP", mode, {"lossless": each, "exif": exif}) for mode in ("RGB", "RGBA") for each in (False, True)],
        *[("GIF", mode, {}) for mode in ("P", "L", "RGB")],
        *[("BMP", mode, {}) for mode in ("RGB", "P", "1")],
        *[("PPM", mode, {}) for mode in ("RGB", "L", "1")],
    ]
    found = [
        saved(noise.convert("L").convert(mode) if mode in ("I;16", "F", "I") else noise.convert(mode), kind, **options)
        for kind, mode, options in kinds
    ]
    frames = [noise, noise.rotate(90), noise.rotate(180)]
    return found + [saved(noise, kind, save_all=True, append_images=frames) for kind in ("GIF", "PNG", "WEBP", "TIFF")]


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Bits turned over, numbers replaced, blocks moved or cut away; most of it in the first 300 bytes."""
    found = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        place = draw.randrange(draw.choice([min(300, len(found)), len(found)]))
        way = draw.randrange(6)
        if way < 2:
            found[place] ^= 1 << draw.randrange(8)
        elif way == 2:
            number = draw.choice(INTERESTING)
            found[place : place + len(number)] = number
        elif way == 3:
            found[place : place + draw.randrange(1, 64)] = b""
        elif way == 4:
            other = draw.randrange(len(found))
            found[place:place] = found[other : other + draw.randrange(1, 64)]
        else:
            found[place] = draw.randrange(256)
        if len(found) < 8:
            break
    return bytes(found[: draw.choice([len(found)] * 3 + [draw.randrange(1, len(found) + 1)])])


def hostile(count: int, seed: int, folder: Path) -> Iterator[tuple[str, bytes | Path]]:
    """All of them by name, those that are told apart first."""
    yield from odd_kinds().items()
    yield from bombs().items()
    pipe, wrong = folder / "pipe.png", folder / "jpeg.png"
    os.mkfifo(pipe)
    wrong.write_bytes(saved(Image.new("RGB", (9, 9)), "JPEG"))
    yield from (("pipe", pipe), ("folder", folder), ("device", Path("/dev/zero")), ("wrong suffix", wrong))
    draw, originals = random.Random(seed), seeds(np.random.default_rng(seed))
    for number in range(count):
        yield f"damaged {number}", damaged(originals[number % len(originals)], draw)


# --- the child that decodes them ------------------------------------------------------------------------------------


def decode(count: int, seed: int, folder: Path, log: Path) -> None:
    """Decode all of them; each one's name is written down before, so that the parent knows what killed us."""
    from edgeproof.runtime.errors import DataError
    from edgeproof.runtime.pixels import Preprocessing, Resize

    chain = Preprocessing(steps=(Resize(width=32, height=32), Resize(width=96, height=96)))
    outcomes: Counter[str] = Counter()
    slow: list[tuple[float, str]] = []
    largest: list[tuple[float, str]] = []
    others: list[str] = []
    with log.open("w") as names:
        for name, picture in _prepared(hostile(count, seed, folder), folder):
            names.write(name + "\n")
            names.flush()
            Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is of this picture
            start = time.perf_counter()
            try:
                chain.pixels(picture, exact=False)
                outcome = "decoded"
            except DataError:
                outcome = "refused"
            except Exception as error:
                outcome = "another error"
                others.append(f"{name}: {type(error).__name__}: {error}")
            slow = sorted([*slow, (round(time.perf_counter() - start, 3), name)])[-3:]
            largest = sorted([*largest, (_peak_mb(), name)])[-3:]
            outcomes[outcome] += 1
    print(json.dumps({"outcomes": outcomes, "slowest_s": slow, "largest_mb": largest, "others": others[:20]}))


def _prepared(pictures: Iterator[tuple[str, bytes | Path]], folder: Path) -> Iterator[tuple[str, Path]]:
    """As files, made by another process so that this one's memory is that of decoding alone."""
    listing = folder / "listing.json"
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--write", str(listing)], check=True)
    for name, place in json.loads(listing.read_text()):
        yield name, Path(place)


def write(listing: Path, count: int, seed: int) -> None:
    """Write all pictures into files beside a list of them."""
    found = []
    for number, (name, picture) in enumerate(hostile(count, seed, listing.parent)):
        path = picture if isinstance(picture, Path) else listing.parent / f"{number}.bin"
        if not isinstance(picture, Path):
            path.write_bytes(picture)
        found.append((name, str(path)))
    listing.write_text(json.dumps(found))


def _peak_mb() -> float:
    text = Path("/proc/self/status").read_text()
    return round(int(text.split("VmHWM:")[1].split()[0]) / 1000, 1)


def main() -> int:
    """Run the child and print what it found, as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write(given.write, given.count, given.seed)
        return 0
    if given.child:
        decode(given.count, given.seed, given.child, given.child / "names.txt")
        return 0
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, __file__, "--child", name, "--count", str(given.count), "--seed", str(given.seed)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            names = Path(name) / "names.txt"
            last = names.read_text().splitlines()[-1:] if names.exists() else []
            print(json.dumps({"died": run.returncode, "at": last, "stderr": run.stderr[-2000:]}, indent=2))
            return 1
    found = json.loads(run.stdout)
    print(json.dumps({**found, "lines that libraries wrote": run.stderr.count("\n")}, indent=2, ensure_ascii=False))
    late, large = found["slowest_s"][-1][0] > SECONDS_LIMIT, found["largest_mb"][-1][0] > MEMORY_LIMIT_MB
    return int(bool(found["others"]) or late or large)


if __name__ == "__main__":
    sys.exit(main())
