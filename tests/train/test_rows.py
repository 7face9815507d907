import numpy as np
import pytest

from edgeproof.runtime.errors import DataError
from edgeproof.train.rows import Rows


@pytest.fixture
def rows(tmp_path):
    made = Rows(tmp_path / "cache" / "rows", 7, (2, 3), np.float16)
    yield made
    made.close()


@pytest.fixture
def values(rows):
    values = np.arange(42, dtype=np.float16).reshape(7, 2, 3)
    rows.write(0, values[:4])
    rows.write(4, values[4:])
    return values


@pytest.mark.parametrize(
    "which",
    [slice(None), slice(2, 5), slice(0, 7, 3), slice(5, 2), slice(-2, None), [3], [6, 0, 0], [], np.arange(7) % 2 == 0],
)
def test_rows_are_read_as_from_an_array(which, rows, values):
    found = rows[which]
    np.testing.assert_array_equal(found, values[which])
    assert found.dtype == np.float16


def test_what_is_read_is_a_copy(rows, values):
    rows[[2]][:] = 0
    np.testing.assert_array_equal(rows[[2]], values[[2]])


def test_the_file_holds_the_rows_and_nothing_else(rows, values):
    assert rows.path.read_bytes() == values.tobytes()
    assert rows.size == len(values.tobytes())


def test_a_row_beyond_the_file_is_refused(rows, values):
    with pytest.raises(DataError, match="too short"):
        rows[[9]]


def test_a_file_that_is_not_wanted_any_more_is_removed(tmp_path):
    Rows(tmp_path / "rows", 1, (1,), np.uint8).close(remove=True)
    assert not (tmp_path / "rows").exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        Rows(tmp_path / "file" / "rows", 1, (1,), np.uint8)


def test_a_full_disk_is_named():
    with pytest.raises(DataError, match=r"No space left on device\. Make room"):
        _Full().write(0, np.zeros((1, 1), np.uint8))


class _Full(Rows):
    """Rows on the device that is always full."""

    def __init__(self):
        import os
        from pathlib import Path

        self.path, self.shape, self.dtype, self._row = Path("/dev/full"), (1, 1), np.dtype(np.uint8), 1
        self._file = os.open("/dev/full", os.O_WRONLY)


def test_a_single_row_is_read_and_written_as_in_an_array(rows, values):
    rows[-2] = np.full((2, 3), 5, np.float16)
    assert (rows[5] == 5).all()
    np.testing.assert_array_equal(rows[np.int64(6)], values[6])
    with pytest.raises(IndexError):
        rows[7]


def test_rows_are_gone_through_one_by_one(rows, values):
    np.testing.assert_array_equal(list(rows), values)
