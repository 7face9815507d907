import numpy as np
import pytest

from edgeproof.runtime.stored import View, chosen, in_memory


class Counting:
    """Pictures outside memory, as far as anyone can tell, that count what is read of them."""

    def __init__(self, pictures):
        self.pictures, self.shape, self.read = pictures, pictures.shape, 0

    def __len__(self):
        return len(self.pictures)

    def __iter__(self):
        return (self[number] for number in range(len(self)))

    def __getitem__(self, which):
        found = self.pictures[which]
        self.read += 1 if found.ndim == 3 else len(found)
        return found

    def __setitem__(self, number, picture):
        self.pictures[number] = picture


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (9, 2, 3, 3), np.uint8)


def test_what_is_in_memory_is_chosen_by_copying(pictures):
    found = chosen(pictures, np.array([4, 1]))
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, pictures[[4, 1]])


def test_what_is_not_in_memory_is_chosen_without_reading_it(pictures):
    stored = Counting(pictures)
    found = chosen(chosen(stored, np.array([8, 7, 5, 1, 0])), np.array([3, 1, 1]))
    assert (found.shape, len(found), stored.read) == ((3, 2, 3, 3), 3, 0)
    np.testing.assert_array_equal(found[:], pictures[[1, 7, 7]])
    assert stored.read == 3


@pytest.mark.parametrize("which", [0, -1, slice(1, 3), slice(None, None, -1), [2, 0], np.array([1]), []])
def test_a_view_is_read_as_the_array_of_its_pictures(which, pictures):
    numbers = np.array([3, 3, 6])
    np.testing.assert_array_equal(View(Counting(pictures), numbers)[which], pictures[numbers][which])


def test_a_view_ends(pictures):
    assert len(list(View(Counting(pictures), np.array([3, 3, 6])))) == 3


def test_a_picture_is_written_through_a_view(pictures):
    View(pictures, np.array([5, 2]))[1] = np.full((2, 3, 3), 9, np.uint8)
    assert (pictures[2] == 9).all()


def test_room_in_memory_is_an_array_of_bytes():
    assert (in_memory((2, 3, 4, 3)).shape, in_memory((2, 3, 4, 3)).dtype) == ((2, 3, 4, 3), np.uint8)
