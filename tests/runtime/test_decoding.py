"""Every odd kind of picture, each beside the pixels that it stands for."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from edgeproof.runtime import DataError
from edgeproof.runtime.decoding import REDUCED, header, open_picture, open_rgb
from edgeproof.runtime.sources import Limits

ORIENTATION = 0x112
# Eight columns and six rows in which no turn or flip leaves things as they were.
COLOURS = np.stack(np.meshgrid(np.arange(0, 240, 30), np.arange(0, 240, 40), [255, 100, 10]), -1)[..., 0, :].astype(
    np.uint8
)
COLOURS = np.stack([COLOURS[..., 0], COLOURS[..., 1], 255 - COLOURS[..., 0] // 2], -1)
GREY = (np.arange(48, dtype=np.uint8) * 5).reshape(6, 8)
BITS = (np.arange(48).reshape(6, 8) % 3 == 0).astype(np.uint8) * 255
ALPHA = (np.arange(48, dtype=np.uint8)[::-1] * 5).reshape(6, 8)


def as_rgb(grey):
    return np.repeat(np.asarray(grey, np.uint8)[..., np.newaxis], 3, axis=2)


def saved(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def blocks(pixels):
    """Pixels in squares of 16, which JPEG leaves nearly as they are, and as many as libjpeg takes at once."""
    return np.kron(pixels, np.ones((16, 16, 1), np.uint8))


def on(background, pixels, alpha):
    """Pixels laid on a colour, to the nearest byte."""
    share = np.asarray(alpha, np.float64)[..., np.newaxis] / 255
    return np.rint(pixels * share + np.array(background) * (1 - share)).astype(np.uint8)


def stored(pixels, orientation):
    """How a camera held that way would have stored upright pixels."""
    turns = {
        **{1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1]},
        **{5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].transpose(1, 0, 2)},
        **{8: lambda a: np.rot90(a, -1)},
    }
    return Image.fromarray(np.ascontiguousarray(turns[orientation](pixels)))


def exif(orientation):
    found = Image.Exif()
    found[ORIENTATION] = orientation
    return found


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour, rows, *extra):
    """A PNG of raw rows, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", header), *extra, chunk(b"IDAT", body), chunk(b"IEND", b"")])


def paletted():
    picture = Image.new("P", (8, 6))
    picture.putpalette([value for colour in range(48) for value in (colour * 5, 255 - colour * 5, colour)])
    picture.putdata(list(range(48)))
    return picture


PALETTE = np.array([(c * 5, 255 - c * 5, c) for c in range(48)], np.uint8).reshape(6, 8, 3)


def frames(kind, **options):
    first, second = Image.fromarray(COLOURS), Image.new("RGB", (8, 6), (1, 2, 3))
    return saved(first, kind, save_all=True, append_images=[second], **options)


def cmyk():
    return Image.fromarray(np.dstack([255 - blocks(COLOURS), np.zeros((96, 128), np.uint8)]), "CMYK")


def without_adobe(content):
    """A JPEG that does not say that it was inverted, as Adobe's are."""
    start = content.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", content, start + 2)
    return content[:start] + content[start + 2 + length :]


def tiff(values, **tags):
    found = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        found[int(tag.removeprefix("tag"))] = value
    return saved(Image.fromarray(values), "TIFF", tiffinfo=found)


def raw_tiff(values, bits, sample_format, order="<"):
    """A grey TIFF of one strip, for types that Pillow does not write."""
    body = values.astype(values.dtype.newbyteorder(order)).tobytes()
    height, width = values.shape
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    tags += [(277, 3, 1), (278, 3, height), (279, 4, len(body)), (339, 3, sample_format)]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value))
        for tag, kind, value in tags
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


WIDE = (np.arange(48, dtype=np.float64).reshape(6, 8) - 20) * 1000.5
STRETCHED = np.rint((WIDE - WIDE.min()) / (WIDE.max() - WIDE.min()) * 255)
RGBA, LA = (
    Image.fromarray(np.dstack([COLOURS, ALPHA])),
    Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]),
)
ON_WHITE, GREY_ON_WHITE = on((255, 255, 255), COLOURS, ALPHA), on((255, 255, 255), as_rgb(GREY), ALPHA)
ASCII = " ".join(str(value) for value in COLOURS.reshape(-1)).encode()

# Content, the pixels it stands for, and how far they may be off where the format itself loses something.
KINDS = {
    **{f"PNG, EXIF {n}": (saved(stored(COLOURS, n), "PNG", exif=exif(n)), COLOURS, 0) for n in range(1, 9)},
    **{f"TIFF, EXIF {n}": (saved(stored(COLOURS, n), "TIFF", exif=exif(n)), COLOURS, 0) for n in range(1, 9)},
    **{
        f"WebP, EXIF {n}": (saved(stored(COLOURS, n), "WEBP", exif=exif(n), lossless=True), COLOURS, 0)
        for n in range(1, 9)
    },
    **{
        f"JPEG, EXIF {n}": (
            saved(stored(blocks(COLOURS), n), "JPEG", exif=exif(n), quality=100, subsampling=0),
            blocks(COLOURS),
            3,
        )
        for n in range(1, 9)
    },
    "an orientation that does not exist": (saved(Image.fromarray(COLOURS), "PNG", exif=exif(9)), COLOURS, 0),
    "grey PNG": (saved(Image.fromarray(GREY)), as_rgb(GREY), 0),
    "grey PNG, EXIF 6": (saved(stored(as_rgb(GREY), 6).convert("L"), "PNG", exif=exif(6)), as_rgb(GREY), 0),
    "grey JPEG": (saved(Image.fromarray(blocks(as_rgb(GREY))[..., 0]), "JPEG", quality=100), blocks(as_rgb(GREY)), 2),
    "1-bit PNG": (saved(Image.fromarray(BITS).convert("1")), as_rgb(BITS), 0),
    "1-bit TIFF, fax": (saved(Image.fromarray(BITS).convert("1"), "TIFF", compression="group4"), as_rgb(BITS), 0),
    "1-bit BMP": (saved(Image.fromarray(BITS).convert("1"), "BMP"), as_rgb(BITS), 0),
    "1-bit PBM": (saved(Image.fromarray(BITS).convert("1"), "PPM"), as_rgb(BITS), 0),
    "LA PNG": (saved(LA), GREY_ON_WHITE, 1),
    "RGBA PNG": (saved(RGBA), ON_WHITE, 1),
    "RGBA PNG, EXIF 5": (saved(stored(np.asarray(RGBA), 5), "PNG", exif=exif(5)), ON_WHITE, 1),
    "RGBA WebP": (saved(RGBA, "WEBP", lossless=True, exact=True), ON_WHITE, 1),
    "RGBA TIFF": (saved(RGBA, "TIFF"), ON_WHITE, 1),
    "grey PNG with one colour transparent": (
        *(saved(Image.fromarray(GREY), transparency=50), as_rgb(np.where(GREY == 50, 255, GREY)), 0),
    ),
    "RGB PNG with one colour transparent": (
        saved(Image.fromarray(COLOURS), transparency=tuple(int(v) for v in COLOURS[2, 3])),
        np.where((COLOURS[2, 3] == COLOURS).all(axis=2, keepdims=True), np.uint8(255), COLOURS),
        0,
    ),
    "palette PNG": (saved(paletted()), PALETTE, 0),
    "palette PNG with one colour transparent": (
        *(
            saved(paletted(), transparency=7),
            on((255, 255, 255), PALETTE, np.where(np.arange(48) == 7, 0, 255).reshape(6, 8)),
            0,
        ),
    ),
    "palette PNG with many alpha values": (
        *(
            saved(paletted(), transparency=bytes(range(48))),
            on((255, 255, 255), PALETTE, np.arange(48).reshape(6, 8)),
            1,
        ),
    ),
    "GIF": (saved(paletted(), "GIF"), PALETTE, 0),
    "GIF with one colour transparent": (
        *(
            saved(paletted(), "GIF", transparency=7),
            on((255, 255, 255), PALETTE, np.where(np.arange(48) == 7, 0, 255).reshape(6, 8)),
            0,
        ),
    ),
    "animated GIF": (
        *(saved(paletted(), "GIF", save_all=True, append_images=[Image.new("P", (8, 6), 3)]), PALETTE, 0),
    ),
    "animated PNG": (frames("PNG"), COLOURS, 0),
    "animated WebP": (frames("WEBP", lossless=True), COLOURS, 0),
    "TIFF of several pages": (frames("TIFF"), COLOURS, 0),
    "16-bit grey PNG": (saved(Image.fromarray(GREY.astype(np.uint16) * 257)), as_rgb(GREY), 0),
    "16-bit grey PNG between bytes": (
        saved(Image.fromarray(np.array([[128, 129, 32896]], np.uint16))),
        as_rgb([[0, 1, 128]]),
        0,
    ),
    "16-bit grey PNG, EXIF 8": (
        *(saved(Image.fromarray(np.rot90(GREY, -1).astype(np.uint16) * 257), "PNG", exif=exif(8)), as_rgb(GREY), 0),
    ),
    "16-bit RGB PNG": (png(8, 6, 16, 2, [(row.astype(">u2") * 257).tobytes() for row in COLOURS]), COLOURS, 0),
    "16-bit TIFF": (raw_tiff(GREY.astype(np.uint16) * 257, 16, 1), as_rgb(GREY), 0),
    "16-bit TIFF of the other byte order": (raw_tiff(GREY.astype(np.uint16) * 257, 16, 1, ">"), as_rgb(GREY), 0),
    "16-bit PGM": (b"P5 8 6 65535\n" + (GREY.astype(">u2") * 257).tobytes(), as_rgb(GREY), 0),
    "PGM of 10 bits": (b"P5 2 1 1023\n\x00\x00\x03\xff", as_rgb([[0, 255]]), 0),
    "2-bit grey PNG": (png(4, 1, 2, 0, [bytes([0b00011011])]), as_rgb([[0, 85, 170, 255]]), 0),
    "32-bit integers of 16 bits": (raw_tiff(GREY.astype(np.int32) * 257, 32, 2), as_rgb(GREY), 0),
    "32-bit integers": (raw_tiff(np.array([[0, 2**31, 2**32 - 1]], np.uint32), 32, 1), as_rgb([[0, 128, 255]]), 0),
    "32-bit integers with a sign": (raw_tiff(np.array([[-100, 20, 100]], np.int32), 32, 2), as_rgb([[0, 153, 255]]), 0),
    "floats from 0 to 1": (raw_tiff((GREY / np.float32(255)).astype(np.float32), 32, 3), as_rgb(GREY), 0),
    "floats of another range": (raw_tiff(WIDE.astype(np.float32), 32, 3), as_rgb(STRETCHED), 1),
    "CMYK TIFF": (saved(cmyk(), "TIFF"), blocks(COLOURS), 0),
    "CMYK JPEG, inverted as Adobe's": (saved(cmyk(), "JPEG", quality=100, subsampling=0), blocks(COLOURS), 3),
    "CMYK JPEG, not inverted": (
        without_adobe(saved(Image.eval(cmyk(), lambda v: 255 - v), "JPEG", quality=100, subsampling=0)),
        blocks(COLOURS),
        3,
    ),
    "YCbCr TIFF": (saved(Image.fromarray(COLOURS).convert("YCbCr"), "TIFF"), COLOURS, 3),
    "TIFF with a JPEG in it": (
        saved(Image.fromarray(blocks(COLOURS)), "TIFF", compression="jpeg", quality=100),
        blocks(COLOURS),
        40,
    ),
    "TIFF, LZW": (saved(Image.fromarray(COLOURS), "TIFF", compression="tiff_lzw"), COLOURS, 0),
    "TIFF, deflate": (saved(Image.fromarray(COLOURS), "TIFF", compression="tiff_adobe_deflate"), COLOURS, 0),
    "TIFF, PackBits": (saved(Image.fromarray(COLOURS), "TIFF", compression="packbits"), COLOURS, 0),
    "BMP": (saved(Image.fromarray(COLOURS), "BMP"), COLOURS, 0),
    "palette BMP": (saved(paletted(), "BMP"), PALETTE, 0),
    "PPM": (saved(Image.fromarray(COLOURS), "PPM"), COLOURS, 0),
    "PPM in letters": (b"P3 8 6 255\n" + ASCII, COLOURS, 0),
    "PGM in letters": (b"P2 2 1 15\n0 15", as_rgb([[0, 255]]), 0),
    "progressive JPEG": (
        saved(Image.fromarray(blocks(COLOURS)), "JPEG", quality=100, subsampling=0, progressive=True),
        blocks(COLOURS),
        3,
    ),
    "WebP, lossless": (saved(Image.fromarray(COLOURS), "WEBP", lossless=True), COLOURS, 0),
    "one pixel": (saved(Image.new("RGB", (1, 1), (9, 8, 7))), np.array([[[9, 8, 7]]]), 0),
    "65,000 pixels in a row": (saved(Image.new("RGB", (65_000, 1), (9, 8, 7))), np.full((1, 65_000, 3), (9, 8, 7)), 0),
    "65,000 pixels in a column": (saved(Image.new("L", (1, 65_000), 9)), np.full((65_000, 1, 3), 9), 0),
    "a 1-bit picture that takes up 5 MP": (
        png(2600, 2000, 1, 0, [b"\xff" * 325] * 2000),
        np.full((2000, 2600, 3), 255),
        0,
    ),
}


def test_there_are_sixty_kinds_and_more():
    assert len(KINDS) >= 60


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_kind_of_picture_is_what_it_stands_for(kind):
    content, wanted, tolerance = KINDS[kind]
    found = np.asarray(open_rgb(content))
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_grey_pictures_stay_grey_and_are_the_same_pixels(kind):
    content, *_ = KINDS[kind]
    found = open_picture(content)
    assert found.mode in ("L", "RGB")
    np.testing.assert_array_equal(np.asarray(found.convert("RGB")), np.asarray(open_rgb(content)))


def test_grey_is_resized_as_its_three_channels_would_be():
    grey = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70), np.uint8))
    for size in ((32, 32), (96, 40), (7, 200)):
        for resample in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS):
            wanted = grey.convert("RGB").resize(size, resample)
            np.testing.assert_array_equal(np.asarray(grey.resize(size, resample).convert("RGB")), np.asarray(wanted))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_picture_of_several_strips_is_turned_as_one(orientation, mode, monkeypatch):
    monkeypatch.setattr("edgeproof.runtime.decoding._STRIP_PIXELS", 20)
    pixels = np.dstack([COLOURS, ALPHA]) if mode == "RGBA" else COLOURS if mode == "RGB" else as_rgb(GREY)
    content = saved(stored(pixels, orientation).convert(mode), "PNG", exif=exif(orientation))
    wanted = {"RGB": COLOURS, "RGBA": ON_WHITE, "L": as_rgb(GREY)}[mode]
    assert np.abs(np.asarray(open_rgb(content)).astype(int) - wanted).max() <= (mode == "RGBA")


def test_values_that_are_no_numbers_are_refused():
    for value in (np.nan, np.inf):
        with pytest.raises(DataError, match="values that are no numbers"):
            open_rgb(raw_tiff(np.array([[0, value]], np.float32), 32, 3))


def test_floats_of_one_value_outside_of_their_range_are_black():
    assert (np.asarray(open_rgb(raw_tiff(np.full((2, 2), 7, np.float32), 32, 3))) == 0).all()


# --- decoding at reduced scale --------------------------------------------------------------------------------------


def smooth(width, height):
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin(rows / height * a + columns / width * b) for a, b in ((5, 3), (2, 7), (6, 1))]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8))


@pytest.mark.parametrize(
    ("at_least", "size"), [((1, 1), (100, 75)), ((101, 1), (200, 150)), ((1, 76), (200, 150)), ((401, 1), (800, 600))]
)
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_is_large_enough(at_least, size):
    content = saved(smooth(800, 600), "JPEG", quality=95)
    found = open_rgb(content, at_least=at_least)
    assert found.size == size
    wanted = smooth(800, 600).resize(size, Image.Resampling.BOX)
    assert np.abs(np.asarray(found).astype(int) - np.asarray(wanted)).mean() < 2


def test_a_jpeg_is_decoded_in_full_unless_a_size_is_given():
    assert open_rgb(saved(smooth(800, 600), "JPEG")).size == (800, 600)


def test_a_scale_that_would_add_a_seam_is_not_taken():
    assert open_rgb(saved(smooth(804, 600), "JPEG"), at_least=(1, 1)).size == (201, 150)
    assert open_rgb(saved(smooth(801, 600), "JPEG"), at_least=(1, 1)).size == (801, 600)


def test_a_jpeg_that_would_not_fit_is_rather_decoded_smaller_than_refused():
    content, limits = saved(smooth(800, 600), "JPEG"), Limits(memory_bytes=130_000, seconds=None)
    assert open_rgb(content, at_least=(800, 600), limits=limits).size == (200, 150)
    with pytest.raises(DataError, match="would take"):
        open_rgb(content, limits=limits)
    turned = saved(smooth(800, 600), "JPEG", exif=exif(3))
    assert open_rgb(turned, at_least=(800, 600), limits=limits).size == (100, 75)


@pytest.mark.parametrize("orientation", [6, 8])
def test_a_jpeg_that_lies_on_its_side_is_measured_upright(orientation):
    content = saved(stored(np.asarray(smooth(400, 800)), orientation), "JPEG", exif=exif(orientation))
    assert open_rgb(content, at_least=(50, 100)).size == (50, 100)
    assert open_rgb(content, at_least=(100, 50)).size == (100, 200)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_other_formats_are_decoded_in_full(kind):
    assert open_rgb(saved(smooth(160, 80), kind), at_least=(1, 1)).size == (160, 80)


# --- limits ---------------------------------------------------------------------------------------------------------


def test_what_takes_more_memory_than_is_allowed_is_refused_with_figures():
    limits = Limits(memory_bytes=10_000, seconds=None)
    with pytest.raises(DataError, match=r"The picture: 100×100 pixels would take 0 MB, more than 0\. Make it smaller"):
        open_rgb(saved(Image.new("RGB", (100, 100))), limits=limits)
    assert open_rgb(saved(Image.new("L", (100, 100))), limits=limits).size == (100, 100)  # a byte a pixel


@pytest.mark.parametrize("change", [{"exif": exif(6)}, {}])
def test_turning_a_picture_counts_towards_its_memory(change):
    content = saved(Image.new("RGB", (100, 100)), **change)
    limits = Limits(memory_bytes=50_000, seconds=None)
    if not change:
        assert open_rgb(content, limits=limits).size == (100, 100)
        return
    with pytest.raises(DataError, match="would take"):
        open_rgb(content, limits=limits)


def test_ones_own_image_is_held_to_the_limits_too():
    with pytest.raises(DataError, match="would take"):
        open_rgb(Image.new("RGB", (100, 100)), limits=Limits(memory_bytes=10_000, seconds=None))


@pytest.mark.parametrize(
    ("kind", "size", "options"),
    [
        ("RGB", (5400, 5400), {}),
        ("RGB", (3850, 3850), {"exif": exif(6)}),
        ("RGBA", (3850, 3850), {}),
        ("1", (7000, 7000), {}),
    ],
)
def test_a_picture_at_the_limit_takes_less_than_200_megabytes(kind, size, options, tmp_path):
    path = tmp_path / "large.png"
    Image.new(kind, size).save(path, compress_level=1, **options)
    script = (
        "import sys, pathlib\n"
        "from edgeproof.runtime.pixels import Preprocessing, Resize\n"
        "Preprocessing(steps=(Resize(width=32, height=32),)).pixels(sys.argv[1], exact=False)\n"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert 40_000 < int(run.stdout) < 200_000
    assert size[0] * size[1] < REDUCED.memory_bytes


def test_a_header_says_format_and_size_without_decoding():
    content = saved(Image.fromarray(as_rgb(GREY)))
    assert header(content) == ("PNG", (8, 6))
    assert header(content[:60]) == ("PNG", (8, 6))
    with pytest.raises(DataError, match="not a picture in a known format"):
        header(b"words")
