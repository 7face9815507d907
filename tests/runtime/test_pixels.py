import io
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgeproof.runtime import DataError, pixels
from edgeproof.runtime.pixels import Preprocessing, Resize, open_rgb

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x112


def saved(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def colour(picture, x=0, y=0):
    return open_rgb(picture).getpixel((x, y))


def noise(height=24, width=20):
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def one_bit_png(width, height, *, complete=False):
    """A PNG that claims a size, with all of its (black) pixels or with none to speak of."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(height * (1 + (width + 7) // 8))) if complete else b"x"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def preprocessing(*sizes, **options):
    return Preprocessing(steps=tuple(Resize(width=w, height=h, **options) for w, h in sizes))


# --- orientation, depth, colour -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_whatever_its_exif_orientation(orientation, kind):
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[0, 0], upright[0, -1], upright[-1, 0] = RED, GREEN, BLUE
    undo = {  # how a camera held that way would have stored the picture
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    stored = saved(Image.fromarray(np.ascontiguousarray(undo(upright))), kind, exif=exif, **options)
    np.testing.assert_array_equal(np.asarray(open_rgb(stored)), upright)


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    grey = np.array([[0, 257, 32896, 65535, 128, 129]], np.uint16)
    found = np.asarray(open_rgb(saved(Image.fromarray(grey))))
    np.testing.assert_array_equal(found[0, :, 0], [0, 1, 128, 255, 0, 1])
    assert (found == found[..., :1]).all()


def test_sixteen_bit_grey_of_either_byte_order_is_the_same_picture():
    values = np.array([[0, 1000, 65535]], np.uint16)
    little = saved(Image.fromarray(values), "TIFF")
    big = saved(Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes()), "TIFF")
    np.testing.assert_array_equal(np.asarray(open_rgb(little)), np.asarray(open_rgb(big)))


def test_a_sixteen_bit_pgm_is_scaled():
    assert colour(b"P5 2 1 65535\n\x80\x80\xff\xff") == (128, 128, 128)


def test_the_scaled_grey_agrees_with_the_same_picture_at_eight_bits():
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    sixteen = eight.astype(np.uint16) * 257
    np.testing.assert_array_equal(
        np.asarray(open_rgb(saved(Image.fromarray(eight)))),
        np.asarray(open_rgb(saved(Image.fromarray(sixteen)))),
    )


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("RGBA", (2, 2), (*RED, 0)), WHITE),
        (Image.new("RGBA", (2, 2), (*RED, 255)), RED),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 51)), (204, 204, 204)),
        (Image.new("LA", (2, 2), (0, 0)), WHITE),
        (Image.new("LA", (2, 2), (9, 255)), (9, 9, 9)),
    ],
)
def test_transparent_pixels_are_laid_on_white(picture, expected):
    assert colour(saved(picture)) == expected


def test_the_background_of_transparent_pixels_can_be_chosen():
    picture = saved(Image.new("RGBA", (2, 2), (*RED, 0)))
    settings = Preprocessing(steps=(Resize(width=2, height=2),), background=(1, 2, 3))
    assert settings.pixels(picture)[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_laid_on_white(kind):
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    content = saved(picture, kind, transparency=1)
    assert [colour(content, 0), colour(content, 1)] == [RED, WHITE]


def test_a_palette_with_many_alpha_values_is_laid_on_white():
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([0, 0, 0, *BLUE])
    picture.putpixel((1, 0), 1)
    content = saved(picture, transparency=bytes([51, 255]))
    assert [colour(content, 0), colour(content, 1)] == [(204, 204, 204), BLUE]


def test_one_colour_named_transparent_in_a_grey_or_rgb_png_becomes_white():
    assert colour(saved(Image.new("L", (1, 1), 7), transparency=7)) == WHITE
    assert colour(saved(Image.new("RGB", (1, 1), RED), transparency=RED)) == WHITE
    assert colour(saved(Image.new("RGB", (1, 1), RED), transparency=BLUE)) == RED


def test_one_bit_pictures_are_black_and_white():
    picture = Image.new("1", (2, 1), 0)
    picture.putpixel((1, 0), 1)
    assert [colour(saved(picture), 0), colour(saved(picture), 1)] == [(0, 0, 0), WHITE]


def test_a_palette_picture_has_the_palettes_colours():
    picture = Image.new("P", (1, 1), 1)
    picture.putpalette([*RED, *GREEN])
    assert colour(saved(picture)) == GREEN


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_becomes_rgb(kind):
    found = colour(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind))
    assert np.abs(np.subtract(found, RED)).max() <= 2


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind):
    frames = [Image.new("RGB", (8, 8), c) for c in (RED, BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(content)).n_frames == 2
    assert colour(content) == RED


def test_floating_point_pixels_from_0_to_1_are_scaled():
    assert colour(saved(Image.new("F", (2, 2), 0.2), "TIFF")) == (51, 51, 51)


# --- every way to give a picture ----------------------------------------------------------------------------


def test_a_path_bytes_an_open_file_an_image_and_an_array_are_the_same_picture(tmp_path):
    array = noise()
    content = saved(Image.fromarray(array))
    path = tmp_path / "noise.png"
    path.write_bytes(content)
    with path.open("rb") as opened:
        for picture in (path, str(path), content, opened, Image.fromarray(array), array):
            np.testing.assert_array_equal(np.asarray(open_rgb(picture)), array)


def test_what_is_returned_does_not_change_with_what_was_given():
    array = noise(8, 8)
    image, before = Image.fromarray(array), array.copy()
    found = [preprocessing((8, 8)).pixels(given) for given in (array, image)]
    array[:] = 0
    image.paste(0, (0, 0, 8, 8))
    for answer in found:
        np.testing.assert_array_equal(answer, before)


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8)])
def test_an_array_of_another_type_or_shape_is_the_callers_mistake(array):
    with pytest.raises(ValueError, match=r"Expected uint8 of shape \(height, width, 3\)"):
        open_rgb(array)


# --- what is no picture -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"these are words\n", b"\x89PNG", b"\xff\xd8\xff", b"GIF89a"])
def test_a_file_that_is_no_picture_is_named(content, tmp_path):
    path = tmp_path / "words.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"words\.png: cannot be decoded \(.+\)\. Give one of PNG, JPEG"):
        open_rgb(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: no such file\. Give the path of a picture"):
        open_rgb(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"a folder\. Give the path of a picture"):
        open_rgb(tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_a_truncated_picture_is_refused_and_not_filled_with_grey(kind):
    content = saved(Image.fromarray(noise(64, 64)), kind)
    with pytest.raises(DataError, match="cannot be decoded"):
        open_rgb(content[: len(content) // 2])


def test_an_image_object_that_cannot_be_loaded_is_a_data_error_too():
    content = saved(Image.fromarray(noise(64, 64)), "JPEG")
    with Image.open(io.BytesIO(content[:900])) as lazy, pytest.raises(DataError, match="The picture: cannot"):
        open_rgb(lazy)


def test_a_format_that_is_not_listed_is_refused():
    with pytest.raises(DataError, match="not a picture in a known format"):
        open_rgb(saved(Image.new("RGB", (2, 2)), "TGA"))


@pytest.mark.parametrize("size", [(65535, 65535), (20000, 20000), (10001, 10000), (2**31 - 1, 1)])
def test_a_header_that_claims_too_many_pixels_is_refused(size):
    with pytest.raises(DataError, match="pixels"):
        open_rgb(one_bit_png(*size))


def test_a_picture_near_the_limit_is_decoded_without_a_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow warns from here on, and refuses from 200 on
    assert open_rgb(saved(Image.new("RGB", (15, 10)))).size == (15, 10)


@pytest.mark.parametrize("side", [13_000, 16_000])  # past our limit, past the one where Pillow gives up
def test_a_decompression_bomb_takes_no_memory(side, tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(one_bit_png(side, side, complete=True))
    assert path.stat().st_size < 50_000
    script = (
        "import resource, sys\n"
        "from edgeproof.runtime import DataError, pixels\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "pixels.open_rgb(b'P6 1 1 255\\n123')\n"
        "before = peak()\n"
        "try: pixels.open_rgb(sys.argv[1])\n"
        "except DataError: print('refused', end=' ')\n"
        "print(peak() - before)\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    outcome, megabytes = run.stdout.split()
    assert outcome == "refused"
    assert int(megabytes) < 50  # decoded, it would be 500 and more


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_a_damaged_picture_is_decoded_or_is_a_data_error_and_nothing_else(kind):
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x10F] = 6, "maker"
    options = {} if kind in ("BMP", "GIF", "PPM") else {"exif": exif}
    content = saved(Image.fromarray(noise()), kind, **options)
    settings, chance = preprocessing((8, 8), (12, 12), fit="crop"), random.Random(kind)
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(content[: chance.choice([len(content), chance.randrange(len(content))])])
        for _ in range(chance.choice([0, 1, 3])):
            damaged[chance.randrange(len(damaged) or 1) :][:1] = b""
            if damaged:
                damaged[chance.randrange(min(len(damaged), 200))] ^= 1 << chance.randrange(8)
        try:
            assert settings.pixels(bytes(damaged)).shape == (12, 12, 3)
            outcomes.add("decoded")
        except DataError:
            outcomes.add("refused")
    assert outcomes == {"decoded", "refused"}


def test_silencing_pillow_leaves_the_warning_filters_as_they_were():
    content = saved(Image.fromarray(noise()))
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [open_rgb(content) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


def test_large_jpegs_are_decoded_smaller_unless_exactly(monkeypatch):
    chain = preprocessing((32, 32), (48, 48))
    content = saved(Image.fromarray(noise(640, 640)), "JPEG", quality=95)
    seen = []
    monkeypatch.setattr(
        pixels, "open_picture", lambda *args, **options: seen.append(options["at_least"]) or Image.new("L", (4, 4))
    )
    chain.stored(content)
    chain.stored(content, exact=False)
    chain.pixels(content, exact=False)
    margin = 32 * pixels.REDUCED_MARGIN
    assert seen == [None, (margin, margin), (margin, margin)]


def test_a_reduced_jpeg_gives_nearly_the_pixels_of_a_full_one(monkeypatch):
    monkeypatch.setattr(pixels, "REDUCED_MARGIN", 8)
    smooth = Image.fromarray(noise(16, 16)).resize((1600, 1200), Image.Resampling.BICUBIC)
    content = saved(smooth, "JPEG", quality=90)
    chain = preprocessing((32, 32))
    full, reduced = chain.stored(content), chain.stored(content, exact=False)
    assert np.abs(full.astype(int) - reduced).mean() < 0.3
    assert (full != reduced).any()  # else nothing was reduced


# --- the resize chain ---------------------------------------------------------------------------------------


def test_a_chain_is_its_steps_one_after_the_other_rounded_to_bytes_each_time():
    picture = Image.fromarray(noise(50, 40))
    expected = picture.resize((32, 32), Image.Resampling.BILINEAR).resize((96, 96), Image.Resampling.BICUBIC)
    settings = Preprocessing(steps=(Resize(width=32, height=32), Resize(width=96, height=96, resample="bicubic")))
    np.testing.assert_array_equal(settings.pixels(picture), np.asarray(expected))
    direct = preprocessing((96, 96)).pixels(picture)
    assert (settings.pixels(picture) != direct).any()


def test_stored_and_finished_are_together_what_pixels_does():
    settings = preprocessing((16, 12), (24, 20), (8, 6))
    pictures = [noise(h, 30) for h in (9, 20, 41)]
    stored = np.stack([settings.stored(picture) for picture in pictures])
    assert stored.shape == (3, 12, 16, 3)
    assert settings.stored_size == (12, 16)
    assert settings.input_size == (6, 8)
    finished = settings.finished(stored)
    np.testing.assert_array_equal(finished, np.stack([settings.pixels(picture) for picture in pictures]))


def test_a_single_step_keeps_stored_pixels_as_they_are():
    stored = noise(6, 8)[np.newaxis]
    np.testing.assert_array_equal(preprocessing((8, 6)).finished(stored), stored)


def test_no_pictures_stay_no_pictures():
    assert preprocessing((4, 4), (8, 8)).finished(np.empty((0, 4, 4, 3), np.uint8)).shape == (0, 8, 8, 3)


def test_stretch_shows_the_whole_picture_and_crop_its_middle():
    picture = Image.new("RGB", (30, 10), RED)
    ImageDraw.Draw(picture).rectangle([10, 0, 19, 9], fill=BLUE)
    stretched = preprocessing((10, 10), resample="nearest").pixels(picture)
    cropped = preprocessing((10, 10), fit="crop").pixels(picture)
    assert stretched[5, 0].tolist() == list(RED)
    assert stretched[5, 5].tolist() == list(BLUE)
    assert (cropped == BLUE).all()


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (1, 1)])
def test_extreme_shapes_are_resized_all_the_same(size, fit):
    found = preprocessing((5, 7), fit=fit).pixels(Image.new("RGB", size, GREEN))
    assert found.shape == (7, 5, 3)
    assert (found == GREEN).all()


@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_every_filter_is_pillows_own(resample):
    picture = Image.fromarray(noise())
    expected = picture.resize((7, 9), Image.Resampling[resample.upper()])
    np.testing.assert_array_equal(preprocessing((7, 9), resample=resample).pixels(picture), np.asarray(expected))


def test_downscaling_is_antialiased():
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = preprocessing((8, 8)).pixels(Image.fromarray(checks))
    assert np.abs(found.astype(int) - 127).max() <= 4


def test_pixels_are_contiguous_bytes_of_the_models_size():
    found = preprocessing((4, 4), (10, 6)).pixels(noise())
    assert (found.shape, found.dtype) == ((6, 10, 3), np.uint8)
    assert found.flags.c_contiguous


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (-1, 4)])
def test_a_size_that_is_not_positive_is_refused(size):
    with pytest.raises(ValueError, match="Expected a positive size"):
        Resize(width=size[0], height=size[1])


def test_a_preprocessing_has_at_least_one_step():
    with pytest.raises(ValueError, match="Expected at least one resize step"):
        Preprocessing(steps=())


def test_every_suffix_that_is_looked_for_is_of_a_format_that_is_read():
    Image.init()
    kinds = {Image.EXTENSION[suffix] for suffix in pixels.SUFFIXES}
    assert kinds <= set(pixels.FORMATS)


def test_columns_are_filtered_first_where_the_height_shrinks_by_far_more():
    """Each pass rounds to bytes. The clients of `deploy/` count on this order, which Pillow has from version 13 on."""
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 20, 3), dtype=np.uint8))
    columns_first = picture.resize((20, 9), Image.Resampling.BILINEAR).resize((15, 9), Image.Resampling.BILINEAR)
    rows_first = picture.resize((15, 40), Image.Resampling.BILINEAR).resize((15, 9), Image.Resampling.BILINEAR)
    found = Preprocessing(steps=(Resize(width=15, height=9),)).pixels(picture)
    assert np.array_equal(found, columns_first)
    assert not np.array_equal(found, rows_first)
