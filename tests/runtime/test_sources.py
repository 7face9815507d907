import io
import os
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from edgeproof.runtime import DataError, sources
from edgeproof.runtime.decoding import open_rgb
from edgeproof.runtime.sources import Limits

FREE = Limits(memory_bytes=10**9, seconds=None)


def saved(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def noise(width, height):
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


class Counted(io.BytesIO):
    """A file that knows how much of it was read."""

    total = 0

    def read(self, size=-1, /):
        found = super().read(size)
        self.total += len(found)
        return found


# --- what is opened -------------------------------------------------------------------------------------------------


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"pipe\.png: neither a file nor a folder\. Give the path of a picture"):
        open_rgb(pipe)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_is_refused(path):
    with pytest.raises(DataError, match="neither a file nor a folder"):
        open_rgb(path)


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(DataError, match=r"cannot be read|no such file"):
        open_rgb("a\0b.png")
    with pytest.raises(DataError, match="cannot be read"):
        open_rgb("n" * 5000)


def test_the_content_decides_and_not_the_suffix(tmp_path):
    path = tmp_path / "really-a-jpeg.png"
    path.write_bytes(saved(Image.new("RGB", (9, 9), (200, 200, 200)), "JPEG"))
    assert open_rgb(path).size == (9, 9)


def test_a_file_is_closed_whatever_becomes_of_the_picture(tmp_path):
    path = tmp_path / "picture.png"
    before = len(os.listdir("/proc/self/fd"))
    for content in (saved(noise(30, 30)), saved(noise(30, 30))[:500], b"words"):
        path.write_bytes(content)
        for _ in range(5):
            try:
                open_rgb(path)
            except DataError:
                continue
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_of_the_callers_stays_open():
    file = io.BytesIO(saved(noise(30, 30)))
    open_rgb(file)
    assert not file.closed
    open_rgb(file)


def test_a_stream_that_cannot_go_back_is_read_once():
    class Stream(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError("a stream")

    assert open_rgb(Stream(saved(noise(30, 20)))).size == (30, 20)


# --- before anything is decoded -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM"])
def test_a_large_picture_is_refused_by_its_header_alone(kind):
    content = saved(noise(600, 500), kind)
    file = Counted(content)
    with pytest.raises(DataError, match=r"600×500 pixels would take \d MB"):
        open_rgb(file, limits=Limits(memory_bytes=100_000, seconds=None))
    # Of a JPEG the scans are counted, which decodes nothing.
    assert file.total < (1.2 * len(content) if kind in ("JPEG", "TIFF") else 70_000)


def webp(kind):
    if kind == "VP8L":
        return saved(noise(40, 30), "WEBP", lossless=True)
    if kind == "VP8 ":
        return saved(noise(40, 30), "WEBP")
    exif = Image.Exif()
    exif[0x10F] = "maker"
    return saved(noise(40, 30), "WEBP", exif=exif)


@pytest.mark.parametrize("kind", ["VP8L", "VP8 ", "VP8X"])
def test_a_webp_is_refused_before_pillow_makes_its_canvas(kind, monkeypatch):
    content = webp(kind)
    assert content[12:16] == kind.encode()
    with pytest.raises(DataError, match="40×30 pixels would take"):
        open_rgb(content, limits=Limits(memory_bytes=18 * 1200 - 1, seconds=None))
    assert open_rgb(content, limits=Limits(memory_bytes=18 * 1200, seconds=None)).size == (40, 30)
    monkeypatch.setattr(sources.Image, "open", lambda *_, **__: pytest.fail("Pillow was asked"))
    with pytest.raises(DataError):
        open_rgb(content, limits=Limits(memory_bytes=1000, seconds=None))


def scans(times, side):
    content = saved(Image.new("L", (side, side), 100), "JPEG", progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * times + content[-2:]


def test_a_jpeg_that_goes_over_its_pixels_too_often_is_refused(monkeypatch):
    monkeypatch.setattr(sources, "SCANS_LIMIT", 50 * 64**2)
    assert open_rgb(scans(20, 64)).size == (64, 64)
    with pytest.raises(DataError, match=r"a JPEG of 64×64 pixels with \d+ scans\. Save it anew"):
        open_rgb(scans(60, 64))


def test_scans_are_counted_across_the_blocks_that_are_read():
    # Comments in front move the mark over the border of a block of 2^20 bytes.
    content = saved(noise(64, 64), "JPEG")
    mark = content.index(b"\xff\xda")
    for shift in (-1, 0, 1):
        comments, left = b"", 2**20 - mark + shift
        while left:
            size = min(left, 60_000) if left - min(left, 60_000) not in range(1, 5) else left - 5
            comments += b"\xff\xfe" + struct.pack(">H", size - 2) + bytes(size - 4)
            left -= size
        with sources._Source(content[:2] + comments + content[2:], "a picture", FREE) as source:
            assert source.scans() == 1


def test_the_coefficients_of_a_progressive_jpeg_count_towards_its_memory():
    limits = Limits(memory_bytes=300_000, seconds=None)
    picture = noise(200, 200)
    assert open_rgb(saved(picture, "JPEG"), limits=limits).size == (200, 200)
    with pytest.raises(DataError, match="would take"):
        open_rgb(saved(picture, "JPEG", progressive=True, subsampling=0), limits=limits)


def test_a_tiff_counts_twice_because_libtiff_decodes_into_memory_of_its_own():
    limits = Limits(memory_bytes=7 * 200**2, seconds=None)
    assert open_rgb(saved(noise(200, 200)), limits=limits).size == (200, 200)
    with pytest.raises(DataError, match="200×200 pixels would take"):
        open_rgb(saved(noise(200, 200), "TIFF", compression="tiff_lzw"), limits=limits)


@pytest.mark.parametrize("head", [b"P3 1001 1000 255\n", b"P5 1001 1000 7\n"])
def test_large_pictures_of_slow_decoders_are_refused(head):
    with pytest.raises(DataError, match="a rare form that takes long to decode"):
        open_rgb(head + b"7 " * 10)


def test_a_picture_that_takes_too_long_is_given_up():
    content = b"P3 900 900 255\n" + b"7 " * 3 * 900**2
    start = time.thread_time()
    with pytest.raises(DataError, match=r"takes longer than 0\.02 s to decode\. Leave it out"):
        open_rgb(content, limits=Limits(memory_bytes=10**9, seconds=0.02))
    assert time.thread_time() - start < 0.5


def test_the_clock_is_the_processors_and_does_not_run_while_others_work(monkeypatch):
    content = saved(noise(50, 50))
    monkeypatch.setattr(time, "monotonic", lambda: pytest.fail("the wrong clock"))
    assert open_rgb(content, limits=Limits(memory_bytes=10**9, seconds=1)).size == (50, 50)


def test_a_large_file_that_would_be_read_as_a_whole_is_refused(monkeypatch):
    monkeypatch.setattr(sources, "FILE_LIMIT", 1000)
    with pytest.raises(DataError, match="its file is larger than 0 MB"):
        open_rgb(saved(noise(100, 100), "WEBP", lossless=True))


def test_compressed_text_in_a_png_is_not_unpacked_into_all_of_the_memory(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(1)
    text = b"".join(packer.compress(bytes(2**20)) for _ in range(120)) + packer.flush()
    plain = saved(Image.new("L", (8, 8)))
    path = tmp_path / "text.png"
    path.write_bytes(plain[:33] + chunk(b"zTXt", b"k\0\0" + text) + plain[33:])
    script = (
        "import sys, pathlib\n"
        "from edgeproof.runtime import DataError\n"
        "from edgeproof.runtime.decoding import open_rgb\n"
        "try: open_rgb(sys.argv[1])\n"
        "except DataError: pass\n"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 110_000
