import numpy as np
import psutil
import pytest

from edgeproof.runtime import ConfigError, DataError
from edgeproof.train import memory
from edgeproof.train.rows import Rows

GB = 10**9


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500_000_000),
        ("2GB", 2_000_000_000),
        ("1.5GiB", 1_610_612_736),
        ("2 gb", 2_000_000_000),
        (".5MiB", 524_288),
        ("300kb", 300_000),
        ("1TB", 10**12),
        ("12B", 12),
        ("800000000", 800_000_000),
    ],
)
def test_a_size_in_words_is_a_number_of_bytes(text, size):
    assert memory.parse(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "two GB", "-2GB", "2GX", "2GBs", "0GB", "0.1B", "1e9", "nan", "2,5GB", "2G"]
)
def test_nonsense_is_refused_in_one_line(text):
    with pytest.raises(ConfigError) as caught:
        memory.parse(text)
    assert str(caught.value).startswith(f"--memory-limit {text}: no size. Give a number with a unit, such as 500MB")
    assert "\n" not in str(caught.value)


def test_the_limit_is_half_of_the_machine_unless_given():
    assert memory.default() == psutil.virtual_memory().total // 2


@pytest.mark.parametrize(("limit", "total"), [(None, 10**12), (8 * GB, 2 * GB), (2 * GB, GB // 4), (1000, 0)])
def test_what_fits_a_share_of_the_limit_stays_in_memory(limit, total, tmp_path):
    room = memory.rooms(total, limit, tmp_path / "cache")("training")((2, 3, 3, 3))
    assert isinstance(room, np.ndarray)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("limit", "total"), [(8 * GB, 2 * GB + 1), (2 * GB, GB // 4 + 1), (GB, 1)])
def test_what_does_not_fit_lies_in_a_file_of_its_own(limit, total, tmp_path):
    rooms = memory.rooms(total, limit, tmp_path / "cache")
    room, other = (rooms(name)((2, 3, 3, 3)) for name in ("training", "test"))
    room[1] = np.full((3, 3, 3), 7, np.uint8)
    assert isinstance(room, Rows)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["test.rows", "training.rows"]
    assert (room[:].sum(), other[:].sum()) == (7 * 27, 0)


def test_without_a_place_for_files_everything_stays_in_memory():
    assert isinstance(memory.rooms(10**12, 4000, None)("training")((1, 2, 2, 3)), np.ndarray)


def test_a_disk_without_room_is_named_before_anything_is_decoded(tmp_path):
    with pytest.raises(DataError, match=r"cache: the decoded pictures take 1000000\.0 GB .+ Give another --out"):
        memory.rooms(10**15, 4000, tmp_path / "run" / "cache")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("size", "words"), [(2 * 10**9, "2.0 GB"), (138_240_000, "138 MB"), (12_000, "12 kB")])
def test_sizes_are_told_in_the_unit_that_fits(size, words):
    assert memory.in_words(size) == words


def test_decoded_pictures_take_three_bytes_a_pixel():
    assert memory.picture_bytes(200_000, (96, 96)) == 5_529_600_000
